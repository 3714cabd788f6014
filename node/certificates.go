package node

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/tuning"
)

// certificates is what the node shows, read again when its files change.
//
// They are looked at every ten seconds. A signal would do it sooner, but somebody has to send it:
// what renews certificates writes files, often from another container, and Kubernetes swaps a
// symbolic link. Files that cannot be used, such as a new certificate beside the old key while
// both are being replaced, change nothing, are said so in the log, and are tried again when either
// changes.
//
// Tickets spare who comes back the certificate and the node its signature. Their keys come from
// the certificate's and the day, not from chance as crypto/tls would have it: so a ticket is good
// at all nodes with the same key, and after a restart, which is when most come back. Who has the
// certificate's key could open tickets with it, but has won nothing with what is in them: of the
// keys of a connection that resumes a part is always agreed on anew, and data that comes with a
// ticket before that is not taken. A ticket lives for a day or two, and beyond its certificate
// when that is replaced.
type certificates struct {
	// Static after construction.
	certFile, keyFile string
	config            *tls.Config

	// Atomic: written by refresh, read by handshakes, which wait for no file.
	current atomic.Pointer[tls.Certificate]

	// Guarded by mu.
	mu      sync.Mutex
	seen    [2]fileStamp // of the files that were tried last
	secrets [][]byte     // private keys: of current, and of the one before
	day     int64        // that the tickets' keys are of
}

// fileStamp tells whether a file is another than before.
type fileStamp struct {
	modified time.Time
	size     int64
}

func stampOf(name string) (s fileStamp) {
	if info, err := os.Stat(name); err == nil {
		s = fileStamp{info.ModTime(), info.Size()}
	}
	return s
}

// openCertificates reads the files; nil when there are none to read.
func openCertificates(certFile, keyFile string) (*certificates, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &certificates{certFile: certFile, keyFile: keyFile}
	c.config = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: c.certificate,
		NextProtos:     []string{"http/1.1"},
		// Messages are small, and a loop sends what it has at once.
		DynamicRecordSizingDisabled: true,
	}
	if _, err := c.refresh(time.Now()); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificates) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// measureTLS gives metrics the state of what there is only with a certificate.
func (e *engine) measureTLS(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	if e.certificates == nil {
		return
	}
	running, waiting := e.handshakes.count()
	gauge(descHandshakes, float64(running), "running")
	gauge(descHandshakes, float64(waiting), "waiting")
	gauge(descCertificate, float64(e.certificates.current.Load().Leaf.NotAfter.Unix()))
}

// refresh reads the files when they are not those that were tried last, and changes the keys of
// tickets with the day.
func (c *certificates) refresh(now time.Time) (changed bool, err error) {
	stamps := [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
	c.mu.Lock()
	defer c.mu.Unlock()
	day := now.Unix() / int64(24*time.Hour/time.Second)
	if c.current.Load() != nil && stamps == c.seen {
		return false, c.useTicketKeys(day, c.secrets)
	}
	c.seen = stamps
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return false, err
	}
	secrets := [][]byte{secret}
	if len(c.secrets) > 0 && !bytes.Equal(c.secrets[0], secret) {
		secrets = append(secrets, c.secrets[0])
	}
	c.day = 0
	if err := c.useTicketKeys(day, secrets); err != nil {
		return false, err
	}
	c.secrets = secrets
	c.current.Store(&pair)
	return true, nil
}

// useTicketKeys has tickets made with the first key and taken with any: the clocks of nodes differ.
// REQUIRES: mu is held.
func (c *certificates) useTicketKeys(day int64, secrets [][]byte) error {
	if day == c.day {
		return nil
	}
	var keys [][32]byte
	for _, secret := range secrets {
		for _, d := range []int64{day, day - 1, day + 1} {
			label := "throng: tickets of day " + strconv.FormatInt(d, 10)
			key, err := hkdf.Key(sha256.New, secret, nil, label, 32)
			if err != nil {
				return err
			}
			keys = append(keys, [32]byte(key))
		}
	}
	c.config.SetSessionTicketKeys(keys)
	c.day = day
	return nil
}

// watchCertificates reads the files again when they change.
func (n *Node) watchCertificates(stop <-chan struct{}) {
	t := time.NewTicker(tuning.TLSReloadInterval)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			n.refreshCertificates()
		}
	}
}

func (n *Node) refreshCertificates() {
	switch changed, err := n.engine.certificates.refresh(time.Now()); {
	case err != nil:
		n.log.Warn("-tls-cert: the new files cannot be used, the old ones stay", "error", err)
	case changed:
		n.log.Info("-tls-cert: the new certificate is shown from now on")
	}
}
