package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"throng/wire"
)

// clientDoor is the door of client libraries: the few of Discord's REST routes that they need to
// find the gateway and to be of use while connected to it.
type clientDoor struct {
	door
	gatewayURL    string
	gatewayPort   int
	gatewayScheme string // ws:// or wss://
}

// Client is the handler of -api.
func Client(n Node, c Config) http.Handler {
	d := &clientDoor{door: newDoor(n, c), gatewayURL: c.GatewayURL, gatewayPort: c.GatewayPort,
		gatewayScheme: "ws://"}
	if c.GatewayTLS {
		d.gatewayScheme = "wss://"
	}
	d.refuse = refuseClient
	mux := http.NewServeMux()
	// No version means the oldest one at Discord. Nobody who left it out means that.
	for _, prefix := range []string{"/api", "/api/v9", "/api/v10"} {
		d.route(mux, prefix+"/gateway", methods{"GET": d.getGateway})
		d.route(mux, prefix+"/gateway/bot", methods{"GET": d.getGatewayBot})
		d.route(mux, prefix+"/users/@me", methods{"GET": d.getUser})
		d.route(mux, prefix+"/applications/@me", methods{"GET": d.getApplication})
		d.route(mux, prefix+"/guilds/{id}", methods{"GET": d.getGuild})
		d.route(mux, prefix+"/channels/{id}", methods{"GET": d.getChannel})
		d.route(mux, prefix+"/channels/{id}/messages", methods{"POST": d.postMessage})
		d.route(mux, prefix+"/channels/{id}/typing", methods{"POST": d.postTyping})
	}
	mux.HandleFunc("/api/{version}/{rest...}", d.unknownVersion)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.refuse(w, r, NotFound) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whoever reaches this door would decide what is traced, here or at a guild's node.
		r.Header.Del("Traceparent")
		mux.ServeHTTP(w, r)
	})
}

// unknownVersion answers what no route matched under a first path element.
func (d *clientDoor) unknownVersion(w http.ResponseWriter, r *http.Request) {
	version := r.PathValue("version")
	digits, isVersion := strings.CutPrefix(version, "v")
	if _, err := wire.ParseSnowflake(digits); isVersion && err == nil &&
		version != "v9" && version != "v10" {
		d.refuse(w, r, &Error{Status: http.StatusBadRequest, Code: codeInvalidVersion,
			Message: "Invalid API version"})
		return
	}
	d.refuse(w, r, NotFound)
}

// authenticate resolves who asks. Libraries send "Bot " before a bot's token, OAuth2 clients
// "Bearer ", and user clients the bare token.
func (d *clientDoor) authenticate(r *http.Request) (User, error) {
	token := strings.TrimSpace(r.Header.Get("Authorization"))
	for _, scheme := range []string{"Bot ", "Bearer "} {
		if bare, found := strings.CutPrefix(token, scheme); found {
			token = strings.TrimSpace(bare)
			break
		}
	}
	if token == "" {
		return User{}, Unauthorized
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	return d.node.Authenticate(ctx, token)
}

// getUser serves GET users/@me.
func (d *clientDoor) getUser(w http.ResponseWriter, r *http.Request) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, appendMissing(nil, user.Doc, userDefaults))
	return nil
}

// getApplication serves GET applications/@me. The node knows no applications apart from their bot
// users, so the answer is made of that one.
func (d *clientDoor) getApplication(w http.ResponseWriter, r *http.Request) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	if !user.Bot {
		return &Error{Status: http.StatusForbidden, Code: codeBotsOnly,
			Message: "Only bots can use this endpoint"}
	}
	name, _ := wire.StringField(user.Doc, "username")
	b := user.ID.AppendJSON(wire.AppendKey([]byte{'{'}, "id"))
	b = wire.AppendString(wire.AppendKey(b, "name"), name)
	b = append(wire.AppendKey(b, "bot"), user.Doc...)
	writeRaw(w, http.StatusOK, appendMissing(nil, append(b, '}'), applicationDefaults))
	return nil
}

// getGuild serves GET guilds/{id}.
func (d *clientDoor) getGuild(w http.ResponseWriter, r *http.Request) error {
	return d.getObject(w, r, d.node.GuildDoc)
}

// getChannel serves GET channels/{id}.
func (d *clientDoor) getChannel(w http.ResponseWriter, r *http.Request) error {
	return d.getObject(w, r, d.node.ChannelDoc)
}

// getObject answers with what the node has under the id in the path, as the caller may see it.
func (d *clientDoor) getObject(w http.ResponseWriter, r *http.Request,
	look func(ctx context.Context, id, as wire.Snowflake) ([]byte, error)) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	doc, err := look(ctx, id, user.ID)
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, doc)
	return nil
}

// postTyping serves POST channels/{id}/typing.
func (d *clientDoor) postTyping(w http.ResponseWriter, r *http.Request) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.Typing(ctx, id, user.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Fields that an account's own object has at Discord beyond the public ones, and those of an
// application; what is there already stays.
var (
	userDefaults = []byte(`{"mfa_enabled":false,"verified":true,"email":null,"locale":"en-US",` +
		`"flags":0,"public_flags":0,"premium_type":0,"banner":null,"accent_color":null}`)
	applicationDefaults = []byte(`{"icon":null,"description":"","summary":"","bot_public":true,` +
		`"bot_require_code_grant":false,"verify_key":"","team":null,"flags":565248,` +
		`"redirect_uris":[],"hook":true}`)
)

// appendMissing appends object with those fields of defaults that it lacks.
func appendMissing(dst, object, defaults []byte) []byte {
	object = bytes.TrimSpace(object)
	dst = append(dst, object[:len(object)-1]...)
	wire.EachField(defaults, func(key string, raw []byte) bool {
		if _, ok := wire.Field(object, key); !ok {
			dst = append(wire.AppendKey(dst, key), raw...)
		}
		return true
	})
	return append(dst, '}')
}

// Discord's error codes that only this door writes.
const (
	codeInvalidForm    = 50035
	codeInvalidVersion = 50041
	codeEmptyMessage   = 50006
	codeInvalidJSON    = 50109
	codeBotsOnly       = 20002
)

// clientError is Discord's form of a refusal.
type clientError struct {
	Message    string   `json:"message"`
	Code       int      `json:"code"`
	Errors     any      `json:"errors,omitempty"`
	RetryAfter *float64 `json:"retry_after,omitempty"`
	Global     *bool    `json:"global,omitempty"`
}

// refuseClient writes a refusal as Discord does. A form error names its field in a tree; a rate
// limit says in fractions of a second when to come back.
func refuseClient(w http.ResponseWriter, r *http.Request, e *Error) {
	setRetryAfter(w, e)
	body := clientError{Message: e.Message, Code: e.Code}
	switch {
	case e.Code == codeInvalidForm:
		body.Message = "Invalid Form Body"
		body.Errors = formErrors(e)
	case e.Status == http.StatusTooManyRequests:
		seconds, global := e.RetryAfter.Seconds(), false
		body.RetryAfter, body.Global = &seconds, &global
		// disgo reads Retry-After only beside a bucket, and takes an answer without Via for one of
		// a proxy before the API, after which it stops calling any route.
		w.Header().Set("X-RateLimit-Bucket", r.Pattern)
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Scope", "user")
		w.Header().Set("Via", "1.1 throng")
	}
	_ = writeJSON(w, e.Status, body)
}

// formErrors is {"field":{"_errors":[{"code","message"}]}}, nested by the dots of the field.
func formErrors(e *Error) any {
	leaf, _ := json.Marshal(map[string]string{"code": "INVALID_VALUE", "message": e.Message})
	tree := any(map[string]any{"_errors": []json.RawMessage{leaf}})
	if e.Field == "" {
		return tree
	}
	path := strings.Split(e.Field, ".")
	for i := len(path) - 1; i >= 0; i-- {
		tree = map[string]any{path[i]: tree}
	}
	return tree
}
