package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// rsaBitsMin is what RFC 7518 3.3 asks for. rsaBitsMax keeps a hostile key set from making each
// signature cost milliseconds.
const (
	rsaBitsMin = 2048
	rsaBitsMax = 8192
)

// fixedKey is the one key that there is.
type fixedKey struct {
	algorithm string
	key       any // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
}

func (k fixedKey) find(_ context.Context, algorithm, _ string) (any, error) {
	if algorithm != k.algorithm {
		return nil, fmt.Errorf("it is signed with %s, want %s", algorithm, k.algorithm)
	}
	return k.key, nil
}

func (k fixedKey) algorithms() []string       { return []string{k.algorithm} }
func (k fixedKey) warm(context.Context) error { return nil }

// algorithmOf is the one algorithm that a public key is used with.
func algorithmOf(key any) (string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < rsaBitsMin || bits > rsaBitsMax {
			return "", fmt.Errorf("an RSA key of %d bits, want %d to %d",
				bits, rsaBitsMin, rsaBitsMax)
		}
		return "RS256", nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", fmt.Errorf("an EC key on %s, want P-256", key.Params().Name)
		}
		return "ES256", nil
	case ed25519.PublicKey:
		return "EdDSA", nil
	}
	return "", fmt.Errorf("a key of type %T, want RSA, EC or Ed25519", key)
}

// parsePEM reads the first block of a PEM text: a public key, or a certificate for the key in it.
func parsePEM(text []byte) (fixedKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return fixedKey{}, errors.New("the file is not PEM")
	}
	key, err := parseBlock(block)
	if err != nil {
		return fixedKey{}, err
	}
	algorithm, err := algorithmOf(key)
	return fixedKey{algorithm: algorithm, key: key}, err
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil, errors.New("the file is a private key; the node needs only the public one")
	}
	return nil, fmt.Errorf("the file is a PEM %q, want a public key", block.Type)
}
