package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"throng/tuning"
)

// Webhook is a sink that posts batches to an HTTP server. While a POST is out on a connection,
// pushes gather for the next, so a batch is as large as the load makes it.
type Webhook struct {
	// Static after construction.
	address *url.URL
	token   string
	node    string
}

// NewWebhook makes a sink of an http:// or https:// URL. A token is sent as a bearer's; without
// one a name and password in the URL count. node is what batches say they come from.
func NewWebhook(address, token, node string) (*Webhook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is no URL such as https://push.example.com/throng", address)
	}
	return &Webhook{u, token, node}, nil
}

func (w *Webhook) String() string { return shown(w.address) }

// shown is what people may read of a URL: any other part of it may be a secret.
func shown(u *url.URL) string { return u.Scheme + "://" + u.Host }

// BatchMax makes one POST of all credits: one connection of HTTP/1.1 carries one request at a time.
func (w *Webhook) BatchMax() int { return tuning.PushInFlightMax }

// webhookHeaderBytesMax of an answer are read.
const webhookHeaderBytesMax = 16 << 10

// Connect makes a client with a connection of its own.
func (w *Webhook) Connect() (Conn, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout:    tuning.PushTryTimeout,
		MaxResponseHeaderBytes: webhookHeaderBytesMax,
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &webhookConn{w, &http.Client{Transport: t, CheckRedirect: stay}}, nil
}

type webhookConn struct {
	w      *Webhook
	client *http.Client
}

func (c *webhookConn) Close() { c.client.CloseIdleConnections() }

func (c *webhookConn) Send(ctx context.Context, batch []Push) Answer {
	body := bytes.NewReader(appendBatch(nil, c.w.node, batch))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.w.address.String(), body)
	if err != nil {
		return Answer{Result: Refused, Err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "throng")
	if c.w.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.w.token)
	}
	response, err := c.client.Do(r)
	if err != nil {
		// The URL, which may hold a password, is in the error's text and not in what it wraps.
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return Answer{Result: Failed, Err: err}
	}
	_, _ = io.CopyN(io.Discard, response.Body, tuning.PushAnswerBytesMax)
	_ = response.Body.Close()
	return judge(response.StatusCode, response.Header.Get("Retry-After"), time.Now())
}

// judge says what follows from a status. A redirect is not followed: pushes, with the token, go
// where the operator said.
func judge(status int, retryAfter string, now time.Time) Answer {
	a := Answer{Err: fmt.Errorf("status %d", status)}
	pause, asked := parseRetryAfter(retryAfter, now)
	switch {
	case status >= 200 && status < 300:
		return Answer{}
	case status == http.StatusTooManyRequests,
		status == http.StatusServiceUnavailable && asked:
		a.Result, a.Pause = Later, pause
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		a.Result = Failed
	default:
		a.Result = Refused
	}
	return a
}

// parseRetryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func parseRetryAfter(text string, now time.Time) (pause time.Duration, ok bool) {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}
