package node

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"throng/node/cluster"
	"throng/store"
)

// ClusterDefault is the name of the cluster unless another is given.
const ClusterDefault = "throng"

// weightMax is 128 nodes like any other.
const weightMax = store.RingWeightMax / store.RingWeight

// weight is -weight as the ring counts it, and as a membership wants it.
func (c *Config) weight() int {
	switch {
	case c.Weight == 0:
		return store.RingWeight
	case c.Weight < 0:
		return -1
	}
	return max(int(c.Weight*store.RingWeight), 1)
}

// many says whether the node is one of a cluster.
func (c *Config) many() bool { return c.Etcd != "" }

// checkCluster looks at the flags of a cluster. The names of engines and files are looked at here,
// and whether they answer when the node joins.
func (c *Config) checkCluster() error {
	c.Node = cmp.Or(c.Node, nodeName(os.Hostname()))
	c.Cluster = cmp.Or(c.Cluster, ClusterDefault)
	switch {
	case (c.Etcd == "") != (c.NATS == ""):
		return errors.New("-etcd: a cluster needs both -etcd and -nats")
	case !cluster.ValidName(c.Node):
		return fmt.Errorf("-node: %q is no name of letters, digits, - and _", c.Node)
	case !cluster.ValidName(c.Cluster):
		return fmt.Errorf("-cluster: %q is no name of letters, digits, - and _", c.Cluster)
	case c.NATSReplicas < 0 || c.NATSReplicas > 5:
		return fmt.Errorf("-nats-replicas: %d is not between 0 and 5", c.NATSReplicas)
	case c.many() && c.Demo:
		return errors.New("-demo: a demo is alone; leave out -etcd and -nats")
	case c.Weight > weightMax:
		return fmt.Errorf("-weight: %v is more than %d", c.Weight, weightMax)
	case (c.ClusterCert == "") != (c.ClusterKey == ""):
		return errors.New("-cluster-cert: needs -cluster-key, and the other way round")
	case c.Import != "" && !c.many():
		return errors.New("-import: there is no cluster to bring data into without -etcd and -nats")
	case c.Import != "" && !c.InMemory && filepath.Clean(c.Import) == filepath.Clean(c.Data):
		return errors.New("-import: it cannot be -data as well, which is of what the cluster has")
	case !c.many():
		return nil
	}
	if c.Advertise == "" {
		c.Advertise = ownAddress()
	}
	if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
		c.Advertise = net.JoinHostPort(strings.Trim(c.Advertise, "[]"), "0")
	}
	var err error
	c.clusterTLS, err = c.readTLS()
	return err
}

// readTLS is how this node shows itself to engines and to other nodes, and whom it believes. Nil:
// none of the files is given.
func (c *Config) readTLS() (*tls.Config, error) {
	if c.ClusterCA == "" && c.ClusterCert == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ClusterCA != "" {
		pem, err := os.ReadFile(c.ClusterCA)
		if err != nil {
			return nil, fmt.Errorf("-cluster-ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("-cluster-ca: %s has no certificate in it", c.ClusterCA)
		}
		t.ClientCAs = t.RootCAs
	}
	if c.ClusterCert != "" {
		pair, err := tls.LoadX509KeyPair(c.ClusterCert, c.ClusterKey)
		if err != nil {
			return nil, fmt.Errorf("-cluster-cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// ownAddress is this host's first address that others may reach.
func ownAddress() string {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return net.JoinHostPort(ip.IP.String(), "0")
		}
	}
	return "127.0.0.1:0"
}

// etcdConfig is -etcd: URLs, or host:port, with commas between them. A user and password may stand
// in the first URL.
func (c *Config) etcdConfig() cluster.EtcdConfig {
	e := cluster.EtcdConfig{TLS: c.clusterTLS}
	for _, text := range strings.Split(c.Etcd, ",") {
		if u, err := url.Parse(text); err == nil && u.User != nil {
			e.User = u.User.Username()
			e.Password, _ = u.User.Password()
			u.User = nil
			text = u.String()
		}
		e.Endpoints = append(e.Endpoints, strings.TrimSpace(text))
	}
	return e
}

// natsConfig is -nats: URLs with commas between them, each with its user, password or token.
func (c *Config) natsConfig() cluster.NATSConfig {
	return cluster.NATSConfig{Servers: c.NATS, TLS: c.clusterTLS, Credentials: c.NATSCredentials}
}

// nodeName is what the node calls itself unless it is told: the host's name, up to its first dot,
// if that is a name here. One that is none, as the "(none)" of a host without, keeps nobody from
// starting.
func nodeName(host string, err error) string {
	name, _, _ := strings.Cut(host, ".")
	if err != nil || !cluster.ValidName(name) {
		return "throng"
	}
	return name
}
