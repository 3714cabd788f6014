package node

import "flag"

// BindDoors declares the flags of the doors, and of who comes in by them.
func (c *Config) BindDoors(f *flag.FlagSet) {
	f.StringVar(&c.Listen, "listen", ListenDefault, "`address` of the gateway: WebSocket")
	f.StringVar(&c.API, "api", APIDefault, "`address` of the HTTP that client libraries call")
	f.StringVar(&c.Admin, "admin", AdminDefault,
		"`address` for backend and operator; beyond loopback only with -admin-token")
	f.StringVar(&c.AdminToken, "admin-token", "",
		"bearer `token` of every admin route but /healthz, /readyz and the console's files")
	f.StringVar(&c.PublicURL, "public-url", "",
		"ws:// or wss:// `URL` told to clients; without it the request's Host")
	f.StringVar(&c.Origins, "origin", "", "`origins` of web pages that may connect, with commas, "+
		"as https://app.example.com; without it any")
	f.StringVar(&c.TLSCert, "tls-cert", "", "PEM `file` of the gateway's certificate and those "+
		"above it; read again when it changes")
	f.StringVar(&c.TLSKey, "tls-key", "", "PEM `file`: its key")
	f.StringVar(&c.ProxyFrom, "proxy-from", "", "`networks` of proxies, with commas, whose "+
		"connections must begin with a PROXY header of version 2")
	f.IntVar(&c.AddressConnections, "address-connections", 0,
		"gateway connections of one client address, or IPv6 /64, at a time; 0: off")
	f.IntVar(&c.AddressRate, "address-rate", 0, "the same, new ones a second; 0: off")
}
