package api

import (
	"log/slog"
	"net/http"

	"throng/tuning"
)

// headerBytesMax is four times what a client library sends, token included.
const headerBytesMax = 16 << 10

// NewServer is an HTTP server for one of the doors, which needs only a listener. A peer that is
// slow with its header, its body or reading the answer is cut off; routes that stream a body ask
// for more time as long as lines arrive.
func NewServer(door http.Handler, c Config) *http.Server {
	l := c.Limits.withDefaults()
	s := &http.Server{
		Handler:           door,
		ReadHeaderTimeout: tuning.APIHeaderTimeout,
		ReadTimeout:       l.Body,
		WriteTimeout:      l.Body + 2*l.Answer,
		IdleTimeout:       tuning.APIIdleTimeout,
		MaxHeaderBytes:    headerBytesMax,
	}
	if c.Log != nil {
		s.ErrorLog = slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug)
	}
	return s
}
