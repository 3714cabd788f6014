package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

// proxyConfig has HAProxy do no more than it must: bytes, and who they are from.
const proxyConfig = `global
    maxconn %d
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend clients
    bind %s ssl crt %s
    default_backend node
backend node
    server node %s send-proxy-v2
`

// startProxy starts HAProxy before a node and waits until it listens.
func (b *bench) startProxy(ctx context.Context, node string) (p *server.Process, address string,
	err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	address = l.Addr().String()
	_ = l.Close()
	config := filepath.Join(b.Folder, "haproxy.cfg")
	text := fmt.Sprintf(proxyConfig, b.connections+100, address, b.files.Both, node)
	if err = os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	if p, err = server.StartProgram("haproxy", "-db", "-f", config); err != nil {
		return nil, "", err
	}
	err = trial.Until(ctx, awaitAtMost, "HAProxy", func() (bool, error) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil, p.Alive()
	})
	return p, address, err
}
