package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const secret = "0123456789abcdef0123456789abcdef"

// pair is a private key with its public one as PEM.
type pair struct {
	method  jwt.SigningMethod
	private any
	public  any
	pem     string
}

func newPair(method jwt.SigningMethod, private, public any) pair {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return pair{method, private, public, string(text)}
}

// keys are made once: an RSA key takes a while.
var keys = sync.OnceValue(func() (k struct{ rsa, ec, ed, small, p384 pair }) {
	newRSA := func(bits int) pair {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return newPair(jwt.SigningMethodRS256, key, &key.PublicKey)
	}
	newEC := func(c elliptic.Curve) pair {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return newPair(jwt.SigningMethodES256, key, &key.PublicKey)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	k.rsa, k.small = newRSA(2048), newRSA(1024)
	k.ec, k.p384 = newEC(elliptic.P256()), newEC(elliptic.P384())
	k.ed = newPair(jwt.SigningMethodEdDSA, private, public)
	return k
})

// sign makes a token; header is pairs of name and value.
func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims,
	header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEachKindOfKeyVerifiesItsOwnTokensOnly(t *testing.T) {
	k := keys()
	pairs := map[string]pair{
		"HS256": {jwt.SigningMethodHS256, []byte(secret), nil, secret},
		"RS256": k.rsa, "ES256": k.ec, "EdDSA": k.ed,
	}
	for name, p := range pairs {
		v, err := New(ModeJWT, p.pem)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := v.Warm(context.Background()); err != nil {
			t.Errorf("%s: warm: %v", name, err)
		}
		for other, q := range pairs {
			token := sign(t, q.method, q.private, jwt.MapClaims{"sub": "42"})
			user, err := v.User(context.Background(), token)
			if other == name && (err != nil || user != 42) {
				t.Errorf("%s: got user %d, %v", name, user, err)
			}
			if other != name && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s took a token signed with %s: user %d, %v", name, other, user, err)
			}
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	k := keys()
	hour := time.Now().Add(time.Hour).Unix()
	ago := time.Now().Add(-time.Hour).Unix()
	claims := jwt.MapClaims{"sub": "42", "exp": hour}
	rs := func(c jwt.MapClaims, header ...any) string {
		return sign(t, k.rsa.method, k.rsa.private, c, header...)
	}
	good := rs(claims)
	parts := strings.Split(good, ".")
	otherSub := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"43"}`))
	for _, c := range []struct {
		name, token string
		valid       bool
	}{
		{"good", good, true},
		{"without exp", rs(jwt.MapClaims{"sub": "42"}), true},
		{"nbf that has passed", rs(jwt.MapClaims{"sub": "42", "nbf": ago}), true},
		{"a kid that nobody asked for", rs(claims, "kid", "x"), true},
		{"expired", rs(jwt.MapClaims{"sub": "42", "exp": ago}), false},
		{"not yet", rs(jwt.MapClaims{"sub": "42", "nbf": hour}), false},
		{"exp of text", rs(jwt.MapClaims{"sub": "42", "exp": "soon"}), false},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims),
			false},
		{"alg none with a signature", strings.Replace(good, parts[0],
			base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)), 1), false},
		{"HS256 with the public key's PEM as secret",
			sign(t, jwt.SigningMethodHS256, []byte(k.rsa.pem), claims), false},
		{"HS256 with the public key's DER as secret", sign(t, jwt.SigningMethodHS256,
			x509.MarshalPKCS1PublicKey(k.rsa.public.(*rsa.PublicKey)), claims), false},
		{"RS512 of the same key", sign(t, jwt.SigningMethodRS512, k.rsa.private, claims), false},
		{"PS256 of the same key", sign(t, jwt.SigningMethodPS256, k.rsa.private, claims), false},
		{"another key", sign(t, k.small.method, k.small.private, claims), false},
		{"claims changed", parts[0] + "." + otherSub + "." + parts[2], false},
		{"signature cut", good[:len(good)-8], false},
		{"no signature", parts[0] + "." + parts[1] + ".", false},
		{"critical extensions", rs(claims, "crit", []string{"b64"}), false},
		{"no sub", rs(jwt.MapClaims{"exp": hour}), false},
		{"empty sub", rs(jwt.MapClaims{"sub": ""}), false},
		{"sub that is a name", rs(jwt.MapClaims{"sub": "ada"}), false},
		{"sub that is 0", rs(jwt.MapClaims{"sub": "0"}), false},
		{"sub that is negative", rs(jwt.MapClaims{"sub": "-42"}), false},
		{"sub past 64 bits", rs(jwt.MapClaims{"sub": "18446744073709551616"}), false},
		{"sub that is a number", rs(jwt.MapClaims{"sub": 42}), false},
		{"empty", "", false},
		{"dots", "..", false},
		{"many dots", strings.Repeat(".", 5000), false},
		{"no JWT", "MQ.abcdef.xyz", false},
		{"too long", rs(jwt.MapClaims{"sub": "42", "x": strings.Repeat("x", 9000)}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := New(ModeJWT, k.rsa.pem)
			if err != nil {
				t.Fatal(err)
			}
			user, err := v.User(context.Background(), c.token)
			if c.valid && (err != nil || user != 42) {
				t.Errorf("got user %d, %v", user, err)
			}
			if !c.valid && (!errors.Is(err, ErrInvalid) || user != 0) {
				t.Errorf("got user %d, %v; want ErrInvalid", user, err)
			}
		})
	}
}

func TestExpiryFollowsTheClockWithALittleLeeway(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	v := newVerifier(fixedKey{"HS256", []byte(secret)}, func() time.Time { return now })
	token := sign(t, jwt.SigningMethodHS256, []byte(secret),
		jwt.MapClaims{"sub": "1", "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	for _, c := range []struct {
		after time.Duration
		valid bool
	}{
		{-leeway - time.Second, false}, {-leeway + time.Second, true}, {0, true},
		{time.Minute + leeway - time.Second, true}, {time.Minute + leeway + time.Second, false},
	} {
		now = time.Unix(1_000_000, 0).Add(c.after)
		if _, err := v.User(context.Background(), token); (err == nil) != c.valid {
			t.Errorf("after %v: %v", c.after, err)
		}
	}
}

func TestFlagsThatMakeNoVerifierSaySo(t *testing.T) {
	k := keys()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.rsa.private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, c := range []struct{ name, mode, key, want string }{
		{"a mode that is none", "oauth", "x", `-auth is "oauth"`},
		{"a key without a use", "tokens", "x", "only with -auth jwt"},
		{"no key", "jwt", "", "needs -auth-key"},
		{"a short secret", "jwt", "short", "at least 32 bytes"},
		{"http", "jwt", "http://issuer.example/keys", "https only"},
		{"https without a host", "jwt", "https://", "not an https:// URL"},
		{"a path that is not there", "jwt", "/nowhere/at/all/in/the/whole/system", "no such file"},
		{"a relative path that is not there", "jwt", "keys/of/the/issuer/of/tokens/public.pem",
			"no such file"},
		{"a folder", "jwt", dir, "directory"},
		{"a file that is no PEM", "jwt", write("text", "hello"), "not PEM"},
		{"a private key", "jwt", write("private", block("PRIVATE KEY", private)), "private key"},
		{"a certificate request", "jwt", block("CERTIFICATE REQUEST", nil), "want a public key"},
		{"a broken key", "jwt", block("PUBLIC KEY", []byte("x")), "asn1"},
		{"a broken certificate", "jwt", block("CERTIFICATE", []byte("x")), "x509"},
		{"a short RSA key", "jwt", k.small.pem, "1024 bits"},
		{"an EC key on another curve", "jwt", k.p384.pem, "P-384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := New(c.mode, c.key)
			if err == nil || !strings.Contains(err.Error(), c.want) || v != nil {
				t.Errorf("got %v, %v; want an error with %q", v, err, c.want)
			}
		})
	}
	if v, err := New(ModeTokens, ""); v != nil || err != nil {
		t.Errorf("tokens: got %v, %v; want nothing", v, err)
	}
	der := x509.MarshalPKCS1PublicKey(k.rsa.public.(*rsa.PublicKey))
	for name, key := range map[string]string{
		"a file": write("public", k.rsa.pem), "PKCS 1": block("RSA PUBLIC KEY", der),
		"a long secret with slashes": strings.Repeat("a/b+", 10),
	} {
		if _, err := New(ModeJWT, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
