package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

//go:embed page
var content embed.FS

// file is one of the page's files.
type file struct {
	path, name, tag string
	text            []byte
}

// embedded reads them. The page itself is at / and what it is made of below /console/.
func embedded() (files []file) {
	entries, err := content.ReadDir("page")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		text, err := content.ReadFile("page/" + name)
		if err != nil {
			panic(err)
		}
		path := "/console/" + name
		if name == "console.html" {
			path = "/"
		}
		hash := sha256.Sum256(text)
		files = append(files, file{path, name, `"` + hex.EncodeToString(hash[:8]) + `"`, text})
	}
	return files
}

// Pages are the handlers of the page's files by their paths. They tell nothing of the node but
// where its gateway is, and need no token.
func (c *Console) Pages() map[string]http.Handler {
	pages := map[string]http.Handler{}
	for _, f := range c.files {
		pages[f.path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", policy(c.cfg.About(r).Gateway))
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-cache") // It is asked again, and answered by ETag.
			h.Set("ETag", f.tag)
			http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.text))
		})
	}
	return pages
}

// origin is what may stand in a policy as a place to connect to. What a request names as its host
// is the browser's own word, but is not let write a policy for all that.
var origin = regexp.MustCompile(`^wss?://[A-Za-z0-9.\-:\[\]]+$`)

// policy allows what the page needs: its own files, its own node, and the gateway, with any path.
func policy(gateway string) string {
	connect := "'self'"
	if u, err := url.Parse(gateway); err == nil {
		if door := u.Scheme + "://" + u.Host; origin.MatchString(door) {
			connect += " " + door
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src " +
		connect + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
