package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificate is one for 127.0.0.1 and its key, apart and in one file as HAProxy wants them.
type Certificate struct {
	Cert, Key, Both string
	Client          *tls.Config // That trusts it.
}

// MakeCertificate writes the files into a folder.
func MakeCertificate(folder string) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "throng bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(made)
	if err != nil {
		return nil, err
	}
	trusted.AddCert(parsed)
	c := &Certificate{Cert: filepath.Join(folder, "cert.pem"),
		Key: filepath.Join(folder, "key.pem"), Both: filepath.Join(folder, "both.pem"),
		Client: &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1"}}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})
	return c, errors.Join(os.WriteFile(c.Cert, certPEM, 0o600),
		os.WriteFile(c.Key, keyPEM, 0o600), os.WriteFile(c.Both, append(certPEM, keyPEM...), 0o600))
}
