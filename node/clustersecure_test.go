package node

import (
	"path/filepath"
	"testing"

	"throng/node/cluster/enginetest"
)

// TestClusterWithTLSAndCredentials has two nodes work together where etcd, NATS and the nodes'
// doors want certificates, and NATS credentials, and holds that nobody gets in without.
func TestClusterWithTLSAndCredentials(t *testing.T) {
	needEngines(t)
	a := enginetest.NewAuthority(t)
	credentials := filepath.Join(t.TempDir(), "throng.creds")
	e := engines{
		enginetest.Etcd(t, a.Flags()...),
		enginetest.NATS(t, append(a.Flags(), "-credentials", credentials)...),
	}
	config := func(name string) Config {
		cfg := e.config(name)
		cfg.ClusterCA, cfg.ClusterCert, cfg.ClusterKey = a.CAFile, a.CertFile, a.KeyFile
		cfg.NATSCredentials = credentials
		return cfg
	}
	rigs := startNodes(t, config("node-a"), config("node-b"))
	home, away := ownerOf(100, rigs)
	// A user and a guild through the door of the node that does not have it, the way of a backend.
	away.user(1, true)
	away.admin("PUT", "/v1/guilds/100", `{"name":"g","owner_id":"1"}`)
	away.admin("POST", "/v1/guilds/100/members", `{"user_id":"1"}`)
	c := away.login(1)
	c.joined(1)
	home.publish(100, 1)
	c.wantNumber(1)
	// And a resume across nodes, which goes through the door for nodes.
	c = c.resumeAt(home, "/")
	c.wantEvent("RESUMED")
	c.exchange(home, 2)
	c.conn.Close()

	open := enginetest.NATS(t, "-cert", a.CertFile, "-key", a.KeyFile)
	stranger := enginetest.NewAuthority(t)
	for name, change := range map[string]func(*Config){
		"another's certificate": func(c *Config) {
			c.ClusterCert, c.ClusterKey = stranger.CertFile, stranger.KeyFile
		},
		"no certificate for etcd": func(c *Config) {
			c.NATS, c.ClusterCert, c.ClusterKey = open.Address(), "", ""
		},
		"no certificate":     func(c *Config) { c.ClusterCert, c.ClusterKey = "", "" },
		"no TLS":             func(c *Config) { c.ClusterCA, c.ClusterCert, c.ClusterKey = "", "", "" },
		"another authority":  func(c *Config) { c.ClusterCA = stranger.CAFile },
		"no credentials":     func(c *Config) { c.NATSCredentials = "" },
		"credentials absent": func(c *Config) { c.NATSCredentials += "x" },
	} {
		cfg := config("node-x")
		change(&cfg)
		t.Logf("%s: %s", name, refused(t, cfg))
	}
}
