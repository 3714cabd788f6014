package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer serves a key set over TLS and counts how often it is asked.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	status  int
	body    string
	fetches int
	clock   time.Time
}

func newIssuer(t *testing.T, keys ...string) *issuer {
	i := &issuer{status: 200, clock: time.Unix(1_700_000_000, 0)}
	i.publish(keys...)
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.fetches++
		status, body := i.status, i.body
		i.mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", body)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...string) { i.answer(200, `{"keys":[`+strings.Join(keys, ",")+`]}`) }

func (i *issuer) answer(status int, body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

func (i *issuer) pass(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.clock = i.clock.Add(d)
}

func (i *issuer) now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.clock
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) verifier(t *testing.T) *verifier {
	t.Helper()
	set, err := newKeySet(i.URL, i.Client(), i.now)
	if err != nil {
		t.Fatal(err)
	}
	return newVerifier(set, i.now)
}

// jwk writes a key as an issuer does; extra is further members.
func (p pair) jwk(id string, extra ...string) string {
	part := base64.RawURLEncoding.EncodeToString
	m := map[string]string{"kid": id}
	switch key := p.public.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"] = "RSA", part(key.N.Bytes())
		m["e"] = part(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		size := len(point) / 2
		m["kty"], m["crv"] = "EC", key.Params().Name
		m["x"], m["y"] = part(point[1:1+size]), part(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", part(key)
	}
	for i := 0; i < len(extra); i += 2 {
		m[extra[i]] = extra[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// token signs for user 42 with a key id.
func (p pair) token(t *testing.T, id string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "42"}
	if id == "" {
		return sign(t, p.method, p.private, claims)
	}
	return sign(t, p.method, p.private, claims, "kid", id)
}

// check asks for a token's user and compares the kind of error.
func check(t *testing.T, v *verifier, what, token string, want error) {
	t.Helper()
	user, err := v.User(context.Background(), token)
	if !errors.Is(err, want) || (want == nil) != (user == 42) {
		t.Errorf("%s: got user %d, error %v; want error %v", what, user, err, want)
	}
}

func TestKeySetFindsKeysByIdAndKind(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.rsa.jwk("r", "use", "sig", "alg", "RS256"), k.ec.jwk("e"), k.ed.jwk("d"),
		k.p384.jwk("p384"), k.small.jwk("small"), k.rsa.jwk("enc", "use", "enc"),
		k.rsa.jwk("r512", "alg", "RS512"), k.ec.jwk("off", "y", strings.Repeat("A", 43)),
		k.ec.jwk("short", "x", "AAAA"), k.ed.jwk("short2", "x", "AAAA"),
		k.rsa.jwk("even", "e", "BA"),
		k.rsa.jwk("huge", "n", strings.Repeat("A", 5000)), k.rsa.jwk("b64", "n", "*"),
		`{"kty":"oct","kid":"h","k":"`+base64.RawURLEncoding.EncodeToString([]byte(secret))+`"}`)
	v := i.verifier(t)
	check(t, v, "RSA", k.rsa.token(t, "r"), nil)
	check(t, v, "EC", k.ec.token(t, "e"), nil)
	check(t, v, "Ed25519", k.ed.token(t, "d"), nil)
	check(t, v, "no id, several keys", k.rsa.token(t, ""), ErrInvalid)
	check(t, v, "another key's id", k.rsa.token(t, "e"), ErrInvalid)
	check(t, v, "a key for encryption", k.rsa.token(t, "enc"), ErrInvalid)
	check(t, v, "a key for another algorithm", k.rsa.token(t, "r512"), ErrInvalid)
	check(t, v, "a key too short", k.small.token(t, "small"), ErrInvalid)
	check(t, v, "a secret in the set", sign(t, jwt.SigningMethodHS256, []byte(secret),
		jwt.MapClaims{"sub": "42"}, "kid", "h"), ErrInvalid)
	check(t, v, "HS256 with a public key", sign(t, jwt.SigningMethodHS256, []byte(k.rsa.pem),
		jwt.MapClaims{"sub": "42"}, "kid", "r"), ErrInvalid)
	for _, id := range []string{"off", "short", "short2", "even", "huge", "b64", "p384"} {
		check(t, v, id, k.ec.token(t, id), ErrInvalid)
	}
	if got := i.fetched(); got != 1 {
		t.Errorf("fetched %d times, want 1", got)
	}
	alone := newIssuer(t, k.ec.jwk(""))
	v = alone.verifier(t)
	check(t, v, "no id, one key", k.ec.token(t, ""), nil)
	check(t, v, "no id, one key of another kind", k.rsa.token(t, ""), ErrInvalid)
}

func TestUnknownKeyIdsFetchOnceAMinute(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("old"))
	v := i.verifier(t)
	check(t, v, "old", k.ec.token(t, "old"), nil)
	i.publish(k.ec.jwk("old"), k.ed.jwk("new"))
	for range 100 {
		check(t, v, "new, too early", k.ed.token(t, "new"), ErrInvalid)
	}
	if got := i.fetched(); got != 1 {
		t.Errorf("fetched %d times within a minute, want 1", got)
	}
	i.pass(refreshPause)
	check(t, v, "new", k.ed.token(t, "new"), nil)
	for range 100 {
		check(t, v, "made up", k.ed.token(t, "made up"), ErrInvalid)
	}
	if got := i.fetched(); got != 2 {
		t.Errorf("fetched %d times within two minutes, want 2", got)
	}
}

func TestKeysAreRenewedAndRevoked(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("a"))
	v := i.verifier(t)
	check(t, v, "published", k.ec.token(t, "a"), nil)
	i.publish(k.ed.jwk("b"))
	i.pass(refreshAfter - time.Second)
	check(t, v, "revoked, not yet known", k.ec.token(t, "a"), nil)
	i.pass(time.Second)
	// The first after that fetches, finds the key gone, and is refused.
	check(t, v, "revoked", k.ec.token(t, "a"), ErrInvalid)
	check(t, v, "new", k.ed.token(t, "b"), nil)
	if got := i.fetched(); got != 2 {
		t.Errorf("fetched %d times, want 2", got)
	}
}

func TestIssuerThatIsAwayIsOutlivedForADay(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("a"))
	v := i.verifier(t)
	check(t, v, "before", k.ec.token(t, "a"), nil)
	i.answer(500, "")
	for range 23 {
		i.pass(time.Hour)
		check(t, v, "while it is away", k.ec.token(t, "a"), nil)
		check(t, v, "again, without asking", k.ec.token(t, "a"), nil)
	}
	if got := i.fetched(); got != 24 {
		t.Errorf("fetched %d times, want 24", got)
	}
	i.pass(2 * time.Hour)
	check(t, v, "after a day", k.ec.token(t, "a"), ErrUnavailable)
	i.publish(k.ec.jwk("a"))
	check(t, v, "back, within the pause", k.ec.token(t, "a"), ErrUnavailable)
	i.pass(retryPause)
	check(t, v, "back", k.ec.token(t, "a"), nil)
}

func TestAnswersThatAreNoKeySetMakeTokensUncheckable(t *testing.T) {
	k := keys()
	many := strings.Repeat(k.ed.jwk("x")+",", keysMax) + k.ec.jwk("a")
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"error":          {500, `{"keys":[` + k.ec.jwk("a") + `]}`},
		"no JSON":        {200, `<html>`},
		"no keys":        {200, `{"keys":[]}`},
		"no usable keys": {200, `{"keys":[` + k.p384.jwk("a") + `]}`},
		"too many keys":  {200, `{"keys":[` + many + `]}`},
		"too large": {200, `{"keys":[` + k.ec.jwk("a") + `]}` +
			strings.Repeat(" ", fetchBytesMax)},
		"redirect to http": {302, "http://issuer.example/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.answer(c.status, c.body)
			v := i.verifier(t)
			if err := v.Warm(context.Background()); !errors.Is(err, ErrUnavailable) {
				t.Errorf("warm: got %v, want ErrUnavailable", err)
			}
			check(t, v, name, k.ec.token(t, "a"), ErrUnavailable)
			if got := i.fetched(); got != 1 {
				t.Errorf("fetched %d times, want 1", got)
			}
			i.publish(k.ec.jwk("a"))
			i.pass(retryPause)
			check(t, v, "mended", k.ec.token(t, "a"), nil)
		})
	}
}

func TestFetchHoldsUpNobodyWhoseKeyIsKnown(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("a"))
	v := i.verifier(t)
	check(t, v, "before", k.ec.token(t, "a"), nil)
	i.pass(refreshAfter)
	v.source.(*keySet).fetching <- struct{}{} // Somebody fetches, and it takes long.
	check(t, v, "known", k.ec.token(t, "a"), nil)
	check(t, v, "perhaps in what is fetched", k.ed.token(t, "b"), ErrUnavailable)
	<-v.source.(*keySet).fetching
	if got := i.fetched(); got != 1 {
		t.Errorf("fetched %d times, want 1", got)
	}
}

func TestManyFirstTokensFetchOnce(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("a"))
	v := i.verifier(t)
	token := k.ec.token(t, "a")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { check(t, v, "one of many", token, nil) })
	}
	group.Wait()
	if got := i.fetched(); got != 1 {
		t.Errorf("fetched %d times, want 1", got)
	}
}

func TestWaitingForTheFirstKeysEndsWithTheContext(t *testing.T) {
	k := keys()
	i := newIssuer(t, k.ec.jwk("a"))
	v := i.verifier(t)
	v.source.(*keySet).fetching <- struct{}{} // Somebody fetches.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.User(ctx, k.ec.token(t, "a")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	<-v.source.(*keySet).fetching
	check(t, v, "then", k.ec.token(t, "a"), nil)
}
