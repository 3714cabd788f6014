package cluster

import (
	"crypto/tls"
	"errors"

	"github.com/nats-io/nats.go"

	"throng/tuning"
)

// NATSConfig says where NATS is and how to be let in. What is empty is not used.
type NATSConfig struct {
	Servers  string // nats:// or tls:// URLs with commas between them.
	TLS      *tls.Config
	User     string
	Password string
	Token    string
	// Credentials is a file with a JWT and the key for it.
	Credentials string
}

// connect makes a connection that comes back for as long as it takes. While it is away nothing can
// be published: what waits does so in queues of ours, which are bounded and seen.
func (c NATSConfig) connect(name string, more ...nats.Option) (*nats.Conn, error) {
	if c.Servers == "" {
		return nil, errors.New("nats: no server")
	}
	options := []nats.Option{
		nats.Name(name), nats.Timeout(tuning.NATSTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(tuning.NATSRetryPause),
		nats.ReconnectJitter(tuning.NATSRetryPause, tuning.NATSRetryPause),
		nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(tuning.NATSPingInterval), nats.MaxPingsOutstanding(tuning.NATSPingsMax),
		nats.FlusherTimeout(tuning.NATSTimeout),
	}
	if c.TLS != nil {
		options = append(options, nats.Secure(c.TLS))
	}
	if c.User != "" {
		options = append(options, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		options = append(options, nats.Token(c.Token))
	}
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	return nats.Connect(c.Servers, append(options, more...)...)
}
