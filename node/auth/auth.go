// Package auth tells whose a signed token is, for nodes that run with -auth jwt.
//
// A Verifier checks signature, expiry and subject of a JWT (RFC 7519) against one secret, one
// public key, or the key set that an issuer publishes. The algorithm is never the token's to
// choose: each key has one, and a token that names another is refused before its signature is
// looked at. Issuer and audience are not compared: who holds the key may sign for the node. The
// package knows nothing of sessions and keeps no tokens.
//
// Checking a signature takes 2 to 100 µs, and with a key set the first token may wait for the
// issuer: call it from where waiting is allowed, never from an event loop. Errors are one of two
// kinds, so that a client whose token is bad is told so and one that came while the issuer could
// not be reached may come again. Start reading at New.
package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"throng/wire"
)

// Verifier tells whose a token is. It is safe for concurrent use.
type Verifier interface {
	// User is the token's subject. The error is an ErrInvalid or an ErrUnavailable.
	User(ctx context.Context, token string) (wire.Snowflake, error)
	// Warm fetches what has to be fetched, so that a wrong address shows when the node starts. A
	// node may serve without: the next token tries again.
	Warm(ctx context.Context) error
}

var (
	// ErrInvalid is a token that will not become valid by trying again.
	ErrInvalid = errors.New("the token is not valid")
	// ErrUnavailable is a token that could not be checked now.
	ErrUnavailable = errors.New("the token cannot be checked now")
)

// The two values of -auth.
const (
	ModeTokens = "tokens"
	ModeJWT    = "jwt"
)

const (
	// tokenBytesMax is what fits in an identify with room for the rest of it.
	tokenBytesMax = 8 << 10
	// secretBytesMin is the hash's size, which RFC 7518 3.2 asks of an HS256 key.
	secretBytesMin = 32
	// leeway is for clocks that differ, at the end of a token's life and at its beginning.
	leeway = 5 * time.Second
)

// New makes the verifier for -auth and -auth-key: an HS256 secret, a PEM public key or the path
// of one, or the https:// address of a key set. It is nil for ModeTokens, where tokens are looked
// up and not checked.
func New(mode, key string) (Verifier, error) {
	switch {
	case mode == ModeTokens && key == "":
		return nil, nil
	case mode == ModeTokens:
		return nil, errors.New("-auth-key is of use only with -auth jwt")
	case mode != ModeJWT:
		return nil, fmt.Errorf("-auth is %q, want tokens or jwt", mode)
	case key == "":
		return nil, errors.New("-auth jwt needs -auth-key")
	}
	source, err := sourceOf(key)
	if err != nil {
		return nil, fmt.Errorf("-auth-key: %w", err)
	}
	return newVerifier(source, time.Now), nil
}

// sourceOf tells the forms of -auth-key apart. What looks like a path has to be one: if it were
// taken for a secret because of a slip, whoever knew the path could sign tokens.
func sourceOf(key string) (keySource, error) {
	switch {
	case strings.HasPrefix(key, "https://"):
		return newKeySet(key, nil, time.Now)
	case strings.Contains(key, "://"):
		return nil, errors.New("a key set is fetched over https only")
	case strings.HasPrefix(key, "-----BEGIN "):
		return parsePEM([]byte(key))
	}
	text, err := os.ReadFile(key)
	if err == nil {
		return parsePEM(text)
	}
	if looksLikePath(key) {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	if len(key) < secretBytesMin {
		return nil, fmt.Errorf("an HS256 secret has at least %d bytes, and this is no file",
			secretBytesMin)
	}
	return fixedKey{algorithm: "HS256", key: []byte(key)}, nil
}

func looksLikePath(key string) bool {
	for _, prefix := range []string{"/", "./", "../", "~"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	for _, suffix := range []string{".pem", ".pub", ".crt", ".cer", ".key"} {
		if strings.HasSuffix(key, suffix) {
			return true
		}
	}
	return false
}

// keySource finds the key that a token says it is signed with.
type keySource interface {
	// find returns the key for an algorithm and a key id, which is "" when the token has none.
	find(ctx context.Context, algorithm, id string) (any, error)
	// algorithms are those that any of its keys may be for.
	algorithms() []string
	warm(ctx context.Context) error
}

// verifier is a Verifier over a source of keys.
type verifier struct {
	source keySource
	parser *jwt.Parser
}

func newVerifier(source keySource, now func() time.Time) *verifier {
	return &verifier{source, jwt.NewParser(
		jwt.WithValidMethods(source.algorithms()),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(now),
		jwt.WithStrictDecoding(),
	)}
}

func (v *verifier) Warm(ctx context.Context) error { return v.source.warm(ctx) }

func (v *verifier) User(ctx context.Context, token string) (wire.Snowflake, error) {
	if len(token) > tokenBytesMax {
		return 0, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, tokenBytesMax)
	}
	var claims jwt.RegisteredClaims
	_, err := v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		// Extensions that have to be understood are not (RFC 7515 4.1.11).
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("it has critical extensions")
		}
		id, _ := t.Header["kid"].(string)
		return v.source.find(ctx, t.Method.Alg(), id)
	})
	if errors.Is(err, ErrUnavailable) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	user, err := wire.ParseSnowflake(claims.Subject)
	if err != nil || user == 0 {
		return 0, fmt.Errorf("%w: its sub is no user id", ErrInvalid)
	}
	return user, nil
}
