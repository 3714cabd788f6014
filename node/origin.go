package node

import (
	"fmt"
	"net/url"
	"strings"
)

// origins are the web pages that may connect: "https://app.example.com". A browser says in Origin
// which page asks, and no page can change that; with none named, any may.
//
// A page of somebody else gains nothing by connecting, since a session begins with a token and not
// with a cookie. It costs a connection all the same, made with each visitor's address, and an
// operator who knows where the application lives need not give it.
//
// Origins are compared as a whole. To look only at the host lets http stand in for https, and a
// prefix or a suffix lets in whoever registers the right name. Who sends no Origin is no browser,
// and could send any.
type origins map[string]bool

// parseOrigins reads a list with commas. What is kept is written as browsers write it (RFC 6454
// 6.2): in small letters, without the scheme's own port.
func parseOrigins(list string) (origins, error) {
	if list == "" {
		return nil, nil
	}
	o := origins{}
	for _, text := range strings.Split(list, ",") {
		text = strings.ToLower(strings.TrimSpace(text))
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Hostname() == "" || text != u.Scheme+"://"+u.Host ||
			strings.ContainsAny(text, "*@") {
			return nil, fmt.Errorf("%q is no origin such as https://app.example.com", text)
		}
		own := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
		if own != "" {
			text = strings.TrimSuffix(text, own)
		}
		o[text] = true
	}
	return o, nil
}

// allow says whether a request with this Origin, or none, may connect.
func (o origins) allow(origin string) bool { return len(o) == 0 || origin == "" || o[origin] }
