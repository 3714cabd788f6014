package main

import (
	"flag"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd starts a member of etcd and waits until the cluster that it is of has a leader.
//
// The shortest lease that etcd grants is one and a half elections, in full seconds: 2 s as it is,
// 1 s with an election of 500 ms.
func startEtcd(set *flag.FlagSet, args []string) (*engine, error) {
	var s security
	s.flags(set)
	c := embed.NewConfig()
	set.StringVar(&c.Dir, "data", "", "`folder` of what it keeps")
	set.StringVar(&c.Name, "name", "one", "`name` among its cluster")
	client := set.String("client", "127.0.0.1:2379", "`address` for clients")
	peer := set.String("peer", "127.0.0.1:2380", "`address` for the other members")
	cluster := set.String("cluster", "", "all members as `NAME=URL,NAME=URL`; none = alone")
	set.UintVar(&c.ElectionMs, "election", c.ElectionMs, "milliseconds without a leader")
	set.UintVar(&c.TickMs, "heartbeat", c.TickMs, "milliseconds between a leader's heartbeats")
	set.StringVar(&c.AutoCompactionRetention, "compact", "0", "revisions to keep; 0 = all")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	c.LogLevel, c.LogOutputs = "error", []string{"stderr"}
	c.AutoCompactionMode = embed.CompactorModeRevision
	scheme := "http"
	if s.cert != "" {
		scheme = "https"
		c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = s.cert, s.key
		c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = s.ca, s.ca != ""
	}
	clientURL := url.URL{Scheme: scheme, Host: *client}
	peerURL := url.URL{Scheme: "http", Host: *peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{clientURL}, []url.URL{clientURL}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peerURL}, []url.URL{peerURL}
	if c.InitialCluster = *cluster; *cluster == "" {
		c.InitialCluster = c.InitialClusterFromName(c.Name)
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return nil, err
	case <-time.After(readyTimeout):
		e.Close()
		return nil, fmt.Errorf("not ready after %v", readyTimeout)
	}
	return &engine{
		Client: clientURL.String(), Peer: peerURL.String(), failed: e.Err(), stop: e.Close,
	}, nil
}
