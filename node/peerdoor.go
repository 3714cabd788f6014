package node

import (
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"throng/node/api"
)

// openPeerDoor opens the door for other nodes. It listens on all of the host's addresses, since the
// one that is advertised may be that of a translator in between.
func (d *doors) openPeerDoor(n *Node, c api.Config) error {
	host, port, _ := net.SplitHostPort(n.cfg.Advertise)
	l, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("-advertise: %w", err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	d.advertised, d.key = net.JoinHostPort(host, port), newKey()
	if t := n.cfg.clusterTLS; t != nil {
		t = t.Clone()
		t.ClientAuth = tls.VerifyClientCertIfGiven
		l = tls.NewListener(l, t)
	}
	d.peer = l
	c.Peers, c.Elsewhere = true, arrival{n}
	n.core.tunnels.tls = n.cfg.clusterTLS
	handler := peerHandler(d.key, n, c)
	d.servers = []*http.Server{api.NewServer(handler, c)}
	return nil
}

// peerHandler lets other nodes in, by the key of this one's record in etcd.
func peerHandler(key string, n *Node, c api.Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", api.Client(n, c))
	mux.Handle("/v1/", api.Admin(n, c))
	mux.HandleFunc("POST "+tunnelPath, n.takeTunnel)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(keyHeader)), []byte(key)) != 1 {
			n.log.Warn("-advertise: a request without this node's key", "from", r.RemoteAddr)
			http.Error(w, "This door is for nodes of the cluster.", http.StatusForbidden)
			return
		}
		r.Header.Del(keyHeader)
		mux.ServeHTTP(w, r)
	})
}
