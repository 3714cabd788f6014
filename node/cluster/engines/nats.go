package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
)

// startNATS starts nats-server, with streams when it has a folder for them, and waits until clients
// can connect. Streams of a cluster have to wait longer, until most of its servers are there.
func startNATS(set *flag.FlagSet, args []string) (*engine, error) {
	var s security
	s.flags(set)
	o := &server.Options{NoSigs: true}
	set.StringVar(&o.StoreDir, "data", "", "`folder` of streams; none = no streams")
	set.StringVar(&o.ServerName, "name", "", "`name` among its cluster")
	client := set.String("client", "127.0.0.1:4222", "`address` for clients")
	peer := set.String("peer", "", "`address` for the other servers; none = alone")
	routes := set.String("cluster", "", "the servers of the cluster as `URL,URL`")
	set.BoolVar(&o.SyncAlways, "sync-always", false, "flush the disk before a stream acknowledges")
	set.StringVar(&o.Username, "user", "", "`name` that clients must give")
	set.StringVar(&o.Password, "password", "", "`password` that clients must give")
	set.StringVar(&o.Authorization, "token", "", "`token` that clients must give")
	credentials := set.String("credentials", "",
		"`file` that it writes: credentials that clients must give")
	maxPending := set.Int64("max-pending", 0, "`bytes` that wait for a slow client; 0 = 64 MiB")
	set.DurationVar(&o.PingInterval, "ping", 0, "between pings of a client; 0 = two minutes")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	o.JetStream, o.MaxPending = o.StoreDir != "", *maxPending
	var err error
	if o.Host, o.Port, err = split(*client); err != nil {
		return nil, err
	}
	if *peer != "" {
		o.Cluster.Name = "engines"
		if o.Cluster.Host, o.Cluster.Port, err = split(*peer); err != nil {
			return nil, err
		}
		o.Routes = server.RoutesFromStr(*routes)
	}
	if s.cert != "" {
		o.TLS = true
		o.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{
			CertFile: s.cert, KeyFile: s.key, CaFile: s.ca, Verify: s.ca != "",
			MinVersion: tls.VersionTLS12,
		})
		if err != nil {
			return nil, err
		}
	}
	if *credentials != "" {
		if err := trust(o, *credentials); err != nil {
			return nil, err
		}
	}
	return runNATS(o)
}

func runNATS(o *server.Options) (*engine, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(readyTimeout) {
		s.Shutdown()
		return nil, errors.New("not ready, see the log")
	}
	e := &engine{Client: "nats://" + s.Addr().String(), stop: func() {
		s.Shutdown()
		s.WaitForShutdown()
	}}
	if address := s.ClusterAddr(); address != nil {
		e.Peer = "nats://" + address.String()
	}
	return e, nil
}

func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err == nil && port == 0 {
		port = server.RANDOM_PORT
	}
	if err != nil {
		err = fmt.Errorf("address %q: %w", address, err)
	}
	return host, port, err
}
