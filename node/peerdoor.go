package node

import (
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"log/slog"
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
	handler := peerHandler(d.key, api.Client(n, c), api.Admin(n, c), n.log)
	d.servers = []*http.Server{api.NewServer(handler, c)}
	return nil
}

// peerHandler lets other nodes in, by the key of this one's record in etcd.
func peerHandler(key string, client, admin http.Handler, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", client)
	mux.Handle("/v1/", admin)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(keyHeader)), []byte(key)) != 1 {
			log.Warn("-advertise: a request without this node's key", "from", r.RemoteAddr)
			http.Error(w, "This door is for nodes of the cluster.", http.StatusForbidden)
			return
		}
		r.Header.Del(keyHeader)
		mux.ServeHTTP(w, r)
	})
}
