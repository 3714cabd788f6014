package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// keysMax is far above what issuers publish: one or two in use, and those to come.
const keysMax = 100

// jwk is a key as RFC 7517 and RFC 7518 6 write it.
type jwk struct {
	Kty, Kid, Use, Alg, Crv, N, E, X, Y string
}

// namedKey is a key with what a token names it by.
type namedKey struct {
	id, algorithm string
	key           any
}

// parseKeySet reads the keys that can be used. The others are passed over: a set may hold keys
// for encryption, or of kinds that this package does not know.
func parseKeySet(text []byte) ([]namedKey, error) {
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("decode key set: %w", err)
	}
	if len(set.Keys) > keysMax {
		return nil, fmt.Errorf("the key set has %d keys, want at most %d", len(set.Keys), keysMax)
	}
	var keys []namedKey
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		key, err := k.public()
		if err != nil {
			continue
		}
		algorithm, err := algorithmOf(key)
		if err != nil || k.Alg != "" && k.Alg != algorithm {
			continue
		}
		keys = append(keys, namedKey{id: k.Kid, algorithm: algorithm, key: key})
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// public is the public key, never a symmetric one.
func (k jwk) public() (any, error) {
	switch {
	case k.Kty == "RSA":
		n, err := decodePart(k.N, rsaBitsMax/8)
		if err != nil {
			return nil, err
		}
		e, err := decodePart(k.E, 4)
		if err != nil {
			return nil, err
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if key.E < 3 || key.E&1 == 0 || key.E > 1<<31-1 {
			return nil, errors.New("an RSA exponent that is none")
		}
		return key, nil
	case k.Kty == "EC" && k.Crv == "P-256":
		x, errX := decodePart(k.X, 32)
		y, errY := decodePart(k.Y, 32)
		if err := errors.Join(errX, errY); err != nil || len(x) != 32 || len(y) != 32 {
			return nil, errors.New("a point that is none")
		}
		point := append(append([]byte{4}, x...), y...) // SEC 1, 2.3.3: uncompressed.
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		x, err := decodePart(k.X, ed25519.PublicKeySize)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key of another length")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, fmt.Errorf("a key of kind %q %q", k.Kty, k.Crv)
}

func decodePart(text string, bytesMax int) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || len(b) > bytesMax+1 { // A leading zero is common.
		return nil, errors.New("a part of another length")
	}
	return b, nil
}
