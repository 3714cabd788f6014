package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net"
	"strings"
	"testing"
	"time"

	"throng/wire"
)

// bot is the header of the user of furnished.
var bot = []string{"Authorization", "Bot tok.en"}

func TestClientRoutesAnswer(t *testing.T) {
	const notFound = `{"message":"404: Not Found","code":0}`
	const unauthorized = `{"message":"401: Unauthorized","code":0}`
	const version = `{"message":"Invalid API version","code":50041}`
	const user = `{"id":"1","username":"ada","bot":true,"discriminator":"0",` +
		`"global_name":null,"avatar":null,"mfa_enabled":false,"verified":true,"email":null,` +
		`"locale":"en-US","flags":0,"public_flags":0,"premium_type":0,"banner":null,` +
		`"accent_color":null}`
	const start = `"shards":1,"session_start_limit":{"total":1000,"remaining":999,` +
		`"reset_after":0,"max_concurrency":1}}`
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		want                      string
	}{
		{"gateway", "GET", "gateway", "", 200, `{"url":"ws://gw.example:8080"}`},
		{"gateway for bots", "GET", "gateway/bot", "Bot tok.en", 200,
			`{"url":"ws://gw.example:8080",` + start},
		{"bare token", "GET", "gateway/bot", "tok.en", 200, ""},
		{"bearer token", "GET", "gateway/bot", "Bearer tok.en", 200, ""},
		{"no token", "GET", "gateway/bot", "", 401, unauthorized},
		{"only a scheme", "GET", "gateway/bot", "Bot ", 401, unauthorized},
		{"nobody's token", "GET", "gateway/bot", "Bot x", 401, unauthorized},
		{"me", "GET", "users/@me", "Bot tok.en", 200, user},
		{"me without a token", "GET", "users/@me", "", 401, unauthorized},
		{"application", "GET", "applications/@me", "Bot tok.en", 200, ""},
		{"application of no bot", "GET", "applications/@me", "hu.man", 403,
			`{"message":"Only bots can use this endpoint","code":20002}`},
		{"application without a token", "GET", "applications/@me", "", 401, unauthorized},
		{"guild", "GET", "guilds/2", "Bot tok.en", 200, `{"id":"2","name":"g","roles":[]}`},
		{"guild without a token", "GET", "guilds/2", "", 401, unauthorized},
		{"guild of others", "GET", "guilds/5", "Bot tok.en", 403,
			`{"message":"Missing Access","code":50001}`},
		{"no guild", "GET", "guilds/9", "Bot tok.en", 404,
			`{"message":"Unknown Guild","code":10004}`},
		{"guild that is no snowflake", "GET", "guilds/x", "Bot tok.en", 400,
			`{"message":"Invalid Form Body","code":50035,"errors":{"id":{"_errors":[{"code":` +
				`"INVALID_VALUE","message":"\"x\" is not a snowflake"}]}}}`},
		{"channel", "GET", "channels/3", "Bot tok.en", 200, `{"id":"3","type":0}`},
		{"channel without a token", "GET", "channels/3", "", 401, unauthorized},
		{"channel of others", "GET", "channels/6", "Bot tok.en", 403, ""},
		{"no channel", "GET", "channels/9", "Bot tok.en", 404,
			`{"message":"Unknown Channel","code":10003}`},
		{"channel that is no snowflake", "GET", "channels/x", "Bot tok.en", 400, ""},
		{"typing", "POST", "channels/3/typing", "Bot tok.en", 204, ""},
		{"typing without a token", "POST", "channels/3/typing", "", 401, unauthorized},
		{"typing nowhere", "POST", "channels/9/typing", "Bot tok.en", 404, ""},
		{"typing in no snowflake", "POST", "channels/x/typing", "Bot tok.en", 400, ""},
		{"message without a token", "POST", "channels/3/messages", "", 401, unauthorized},
		{"message in no snowflake", "POST", "channels/x/messages", "Bot tok.en", 400, ""},
		{"wrong method", "DELETE", "channels/3", "Bot tok.en", 405,
			`{"message":"405: Method Not Allowed","code":0}`},
		{"no route", "GET", "guilds/2/bans", "Bot tok.en", 404, notFound},
	} {
		for _, prefix := range []string{"/api/", "/api/v9/", "/api/v10/"} {
			t.Run(c.name+prefix, func(t *testing.T) {
				n := furnished()
				n.users[8] = UserInput{ID: 8, Doc: []byte(`{"id":"8"}`)}
				n.tokens["hu.man"] = 8
				url := serve(t, Client(n, Config{GatewayPort: 8080}))
				a := request(t, c.method, url+prefix+c.path, "", "Authorization", c.token,
					"Host", "gw.example:8081")
				a.want(t, c.status, c.want)
				kind := a.header.Get("Content-Type")
				if c.status != 204 && kind != "application/json" {
					t.Errorf("got content type %q", kind)
				}
			})
		}
	}
	url := serve(t, Client(furnished(), Config{}))
	for path, want := range map[string]string{
		"/api/v6/gateway": version, "/api/v7/gateway/bot": version, "/api/v8/users/@me": version,
		"/api/v11/gateway": version, "/api/v90/gateway": version,
		"/api/v9/nothing": notFound, "/api/v10/": notFound, "/api/vx/gateway": notFound,
		"/": notFound, "/api": notFound, "/api/": notFound, "/v10/gateway": notFound,
	} {
		status := map[string]int{version: 400, notFound: 404}[want]
		request(t, "GET", url+path, "").want(t, status, want)
	}
}

func TestGatewayAddressIsTheCallersWordForThisHost(t *testing.T) {
	url := serve(t, Client(furnished(), Config{GatewayPort: 80}))
	for host, want := range map[string]string{
		"localhost": "ws://localhost:80", "127.0.0.1:8081": "ws://127.0.0.1:80",
		"[::1]:8081": "ws://[::1]:80", "[::1]": "ws://[::1]:80",
	} {
		request(t, "GET", url+"/api/gateway", "", "Host", host).want(t, 200, `{"url":"`+want+`"}`)
	}
	fixed := serve(t, Client(furnished(), Config{GatewayURL: "wss://gw.example", GatewayPort: 80}))
	request(t, "GET", fixed+"/api/gateway", "").want(t, 200, `{"url":"wss://gw.example"}`)

	// HTTP/1.0 has no Host; the address that was called is known all the same.
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprint(conn, "GET /api/gateway HTTP/1.0\r\n\r\n")
	var reply bytes.Buffer
	if _, err := reply.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(reply.String(), `{"url":"ws://127.0.0.1:80"}`) {
		t.Errorf("got %s", &reply)
	}
}

func TestApplicationIsMadeOfItsBot(t *testing.T) {
	url := serve(t, Client(furnished(), Config{}))
	var got struct {
		ID, Name string
		Flags    int
		Bot      struct{ ID string }
	}
	a := request(t, "GET", url+"/api/v10/applications/@me", "", bot...)
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "1" || got.Name != "ada" || got.Bot.ID != "1" || got.Flags != 565248 {
		t.Errorf("got %+v of %s", got, a.body)
	}
}

func TestRateLimitIsToldAsLibrariesReadIt(t *testing.T) {
	n := furnished()
	n.fail = Busy(1500*time.Millisecond, "You are being rate limited.")
	url := serve(t, Client(n, Config{}))
	a := request(t, "GET", url+"/api/v10/users/@me", "", bot...)
	a.want(t, 429, `{"message":"You are being rate limited.","code":0,"retry_after":1.5,`+
		`"global":false}`)
	for _, name := range []string{"X-RateLimit-Bucket", "X-RateLimit-Scope", "Via"} {
		if a.header.Get(name) == "" {
			t.Errorf("429 without %s", name)
		}
	}
	if got := a.header.Get("Retry-After"); got != "2" {
		t.Errorf("got Retry-After %q, want 2", got)
	}
	n.fail = Unavailable(time.Second, "draining")
	a = request(t, "GET", url+"/api/v10/users/@me", "", bot...)
	a.want(t, 503, `{"message":"draining","code":0}`)
	n.fail = fmt.Errorf("disk: secret path")
	request(t, "GET", url+"/api/v10/users/@me", "", bot...).
		want(t, 500, `{"message":"500: Internal Server Error","code":0}`)
}

func TestMessagesAreCheckedBeforeTheNodeSeesThem(t *testing.T) {
	form := func(field, message string) string {
		path := strings.Split(field, ".")
		inner := `{"_errors":[{"code":"INVALID_VALUE","message":"` + message + `"}]}`
		for i := len(path) - 1; i >= 0; i-- {
			inner = `{"` + path[i] + `":` + inner + `}`
		}
		return `{"message":"Invalid Form Body","code":50035,"errors":` + inner + `}`
	}
	const empty = `{"message":"Cannot send an empty message","code":50006}`
	const invalid = `{"message":"The request body contains invalid JSON.","code":50109}`
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"content", `{"content":"hi"}`, 200, ""},
		{"2,000 characters of two bytes", `{"content":"` + strings.Repeat("é", 2000) + `"}`,
			200, ""},
		{"2,001 characters", `{"content":"` + strings.Repeat("x", 2001) + `"}`, 400,
			form("content", "Must be 2000 or fewer in length.")},
		{"embed only", `{"embeds":[{"title":"x"}]}`, 200, ""},
		{"nulls", `{"content":"x","embeds":null,"nonce":null,"message_reference":null,` +
			`"allowed_mentions":null,"tts":null,"flags":null,"components":null}`, 200, ""},
		{"unknown fields", `{"content":"x","sticker_ids":["1"],"y":{}}`, 200, ""},
		{"nothing", `{}`, 400, empty},
		{"empty content and lists", `{"content":"","embeds":[],"components":[ ]}`, 400, empty},
		{"content of a number", `{"content":5}`, 400,
			form("content", "Could not interpret as string.")},
		{"tts of a string", `{"content":"x","tts":"yes"}`, 400,
			form("tts", "Must be either true or false.")},
		{"flags of a string", `{"content":"x","flags":"4"}`, 400,
			form("flags", "Value is not int.")},
		{"long nonce", `{"content":"x","nonce":"` + strings.Repeat("n", 26) + `"}`, 400,
			form("nonce", "Must be a number, or 25 or fewer in length.")},
		{"embeds of an object", `{"embeds":{}}`, 400, ""},
		{"embeds of strings", `{"embeds":["x"]}`, 400, ""},
		{"eleven embeds", `{"embeds":[` + strings.Repeat("{},", 10) + `{}]}`, 400,
			form("embeds", "Must be 10 or fewer in length.")},
		{"reference to nothing", `{"content":"x","message_reference":{}}`, 400,
			form("message_reference.message_id", "This field is required")},
		{"forward", `{"content":"x","message_reference":{"type":1,"message_id":"5"}}`, 400, ""},
		{"mentions of a list", `{"content":"x","allowed_mentions":[]}`, 400, ""},
		{"mentions of a kind that is none", `{"content":"x","allowed_mentions":{"parse":["all"]}}`,
			400, ""},
		{"no JSON", `{"content":`, 400, invalid},
		{"bad UTF-8", "{\"content\":\"\xff\"}", 400, invalid},
		{"no object", `"hi"`, 400, invalid},
		{"empty body", ``, 400, invalid},
		{"too large", `{"content":"x","y":"` + strings.Repeat("y", 9000) + `"}`, 413, ""},
		{"what the node forbids", `{"content":"forbidden"}`, 403,
			`{"message":"Missing Permissions","code":50013}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := furnished()
			url := serve(t, Client(n, Config{Limits: Limits{Message: 8000}}))
			request(t, "POST", url+"/api/v10/channels/3/messages", c.body, bot...).
				want(t, c.status, c.want)
			if got := len(n.posted) > 0; got != (c.status == 200) {
				t.Errorf("posted: %v", got)
			}
		})
	}
	url := serve(t, Client(furnished(), Config{}))
	request(t, "POST", url+"/api/channels/9/messages", `{"content":"x"}`, bot...).want(t, 404, "")
	request(t, "POST", url+"/api/channels/6/messages", `{"content":"x"}`, bot...).want(t, 403, "")
}

func TestMessageHasWhatLibrariesNeed(t *testing.T) {
	n := furnished()
	url := serve(t, Client(n, Config{}))
	a := request(t, "POST", url+"/api/v10/channels/3/messages",
		`{"content":"<@1> <@!1> <@&7> @here <@x> <@","nonce":"n1","flags":4102,"tts":true,
		"embeds":[{"title":"t"}],"message_reference":{"message_id":"44"}}`, bot...)
	ada := string(n.users[1].Doc)
	a.want(t, 200, `{"id":"4","channel_id":"3","type":19,`+
		`"content":"<@1> <@!1> <@&7> @here <@x> <@",`+
		`"timestamp":"1970-01-01T00:00:00.000000+00:00","edited_timestamp":null,"tts":true,`+
		`"mention_everyone":true,"mentions":[`+ada+`],"mention_roles":["7"],"attachments":[],`+
		`"embeds":[{"title":"t"}],"components":[],"pinned":false,"flags":4100,"nonce":"n1",`+
		`"author":`+ada+`,"message_reference":{"type":0,"message_id":"44","channel_id":"3"}}`)

	m := MessageInput{Content: "x", ReplyTo: 9}
	got := string(m.Append(nil, MessageMeta{ID: 1, Channel: 2, Guild: 3, Author: []byte("{}"),
		Member: []byte(`{"nick":null}`)}))
	for _, want := range []string{`"guild_id":"3"`, `"member":{"nick":null}`,
		`"message_reference":{"type":0,"message_id":"9","channel_id":"2","guild_id":"3"}`} {
		if !strings.Contains(got, want) || !json.Valid([]byte(got)) {
			t.Errorf("got %s without %s", got, want)
		}
	}
}

func TestAllowedMentionsDecideWhoIsMentioned(t *testing.T) {
	const content = `"content":"<@1> <@2> <@&7> <@&8> @everyone"`
	for _, c := range []struct {
		allowed, users, roles string
		everyone              bool
	}{
		{`null`, "[1 2]", "[7 8]", true},
		{`{}`, "[]", "[]", false},
		{`{"parse":[]}`, "[]", "[]", false},
		{`{"parse":["users"]}`, "[1 2]", "[]", false},
		{`{"parse":["roles","everyone"]}`, "[]", "[7 8]", true},
		{`{"users":["2"],"roles":["8","9"]}`, "[2]", "[8]", false},
	} {
		m, err := parseMessage([]byte(`{`+content+`,"allowed_mentions":`+c.allowed+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		users, roles := fmt.Sprint(m.MentionUsers), fmt.Sprint(m.MentionRoles)
		if users != c.users || roles != c.roles || m.MentionEveryone != c.everyone {
			t.Errorf("%s: got %s %s %v", c.allowed, users, roles, m.MentionEveryone)
		}
	}
}

// form makes a multipart body of fields and files.
func form(t *testing.T, payload string, files ...string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i, content := range files {
		part, err := w.CreateFormFile(fmt.Sprintf("files[%d]", i), fmt.Sprintf("f%d.txt", i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(part, content)
	}
	if payload != "" {
		if err := w.WriteField("payload_json", payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func TestMultipartMessageIsTakenAndItsFilesAreNamed(t *testing.T) {
	n := furnished()
	url := serve(t, Client(n, Config{Limits: Limits{Upload: 4000, Message: 100}}))
	post := func(body, kind string) answer {
		return request(t, "POST", url+"/api/v10/channels/3/messages", body, append([]string{
			"Content-Type", kind}, bot...)...)
	}
	post(form(t, `{"content":"hi"}`, "abc", "de")).want(t, 200, "")
	if m := n.posted[0]; m.Content != "hi" || string(m.Attachments) != `[{"id":"0","filename":`+
		`"f0.txt","size":3,"content_type":"application/octet-stream","url":"","proxy_url":""},`+
		`{"id":"1","filename":"f1.txt","size":2,"content_type":"application/octet-stream",`+
		`"url":"","proxy_url":""}]` {
		t.Errorf("got %s, %s", m.Content, m.Attachments)
	}
	post(form(t, "", "only a file")).want(t, 200, "")
	post(form(t, `{"content":"no file"}`)).want(t, 200, "")
	post(form(t, "")).want(t, 400, `{"message":"Cannot send an empty message","code":50006}`)
	post(form(t, `{"content":`)).want(t, 400, "")
	post(form(t, `{"content":"`+strings.Repeat("x", 100)+`"}`)).want(t, 413, "")
	post(form(t, `{}`, strings.Repeat("x", 5000))).want(t, 413, "")
	post(form(t, `{}`, strings.Split("abcdefghijk", "")...)).want(t, 400, "")
	post("no parts in it", "multipart/form-data; boundary=b").want(t, 400, "")
	post("x", "multipart/form-data").want(t, 400, "")
	if got := len(n.posted); got != 3 {
		t.Errorf("posted %d, want 3", got)
	}
}

func TestMintedTokensAreUnlikeEachOther(t *testing.T) {
	a, b := MintedToken(wire.Snowflake(1)), MintedToken(wire.Snowflake(1))
	if a == b || checkToken(a) != nil {
		t.Errorf("got %q and %q", a, b)
	}
}
