package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard decides who may use the admin door.
//
// With a token, whoever bears it. Without one the listener is on a loopback address, and what
// remains to be kept out is the rest of the world borrowing this host's loopback: a proxy that
// forwards its own clients, if it says so in a header, and a page in a browser on this host, which
// either says where it is from (another origin) or has pointed a name of its own at 127.0.0.1 and
// shows that name as Host.
type guard struct {
	tokenHash [sha256.Size]byte
	hasToken  bool
	refuse    func(w http.ResponseWriter, r *http.Request, e *Error)
}

func newGuard(token string, refuse func(http.ResponseWriter, *http.Request, *Error)) *guard {
	return &guard{
		tokenHash: sha256.Sum256([]byte(token)),
		hasToken:  token != "",
		refuse:    refuse,
	}
}

// protect lets through to next what the guard allows.
func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := g.check(r); e != nil {
			if e.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="throng"`)
			}
			g.refuse(w, r, e)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) check(r *http.Request) *Error {
	if g.hasToken {
		return g.checkToken(r)
	}
	forbidden := func(message string) *Error {
		return &Error{Status: http.StatusForbidden, Message: message}
	}
	for name := range r.Header {
		if isForwarding(name) {
			return forbidden("a forwarded request needs -admin-token to be set")
		}
	}
	if !isLocalHost(r.Host) {
		return forbidden("a Host other than this machine's needs -admin-token to be set")
	}
	if !isOwnPage(r) {
		return forbidden("a request from another origin needs -admin-token to be set")
	}
	return nil
}

// checkToken compares digests, so that the time taken tells neither a prefix nor the length.
func (g *guard) checkToken(r *http.Request) *Error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	same := subtle.ConstantTimeCompare(given[:], g.tokenHash[:]) == 1
	if !same || !strings.EqualFold(scheme, "Bearer") {
		return &Error{Status: http.StatusUnauthorized,
			Message: "the admin token is missing or wrong"}
	}
	return nil
}

// isForwarding says that a header, by its canonical name, is one that only proxies add.
func isForwarding(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// isOwnPage says that a browser, if it is one that asks, does so for a page of this door or for who
// typed the address. NB: http.CrossOriginProtection lets every GET through, since a page does not
// see the answer to one. Here a GET may be a profile of half a minute, which costs without that.
func isOwnPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin == "" || strings.EqualFold(host, r.Host)
}

// isLocalHost says that a Host header names this machine's loopback.
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "" || strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
