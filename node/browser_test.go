package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// needChromium skips the test where there is no Chromium, but never in CI.
func needChromium(t *testing.T) (path string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("CI must see the console in a browser (apt-get install chromium): %v", err)
	}
	t.Skipf("apt-get install chromium to try this: %v", err)
	return ""
}

// browser is one page in a Chromium without a screen, driven by the DevTools protocol.
type browser struct {
	t       *testing.T
	conn    *websocket.Conn
	session string
	number  int
	faults  []string // What the page complained of: exceptions, and what its policy forbade.
}

// cdpMessage is a call, its answer, or an event.
type cdpMessage struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string
	} `json:"error,omitempty"`
}

// openBrowser starts a Chromium with an empty page, which ends with the test.
func openBrowser(t *testing.T, ctx context.Context) *browser {
	t.Helper()
	profile := t.TempDir()
	run := exec.Command(needChromium(t), "--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--remote-debugging-port=0",
		"--user-data-dir="+profile, "about:blank")
	var said strings.Builder
	run.Stderr = &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	var port, path string
	until(t, "Chromium says where it listens", func() bool {
		text, err := os.ReadFile(filepath.Join(profile, "DevToolsActivePort"))
		port, path, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
		return err == nil && path != ""
	})
	conn, _, err := websocket.Dial(ctx, "ws://127.0.0.1:"+port+path, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	conn.SetReadLimit(64 << 20) // A screenshot is one message.
	t.Cleanup(func() { _ = conn.CloseNow() })
	b := &browser{t: t, conn: conn}
	var target struct{ TargetID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true},
		&attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.do(domain+".enable", nil, nil)
	}
	return b
}

// do calls a method of the protocol. Events on the way are looked at for complaints.
func (b *browser) do(method string, params, result any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b.number++
	call := cdpMessage{ID: b.number, Session: b.session, Method: method}
	var err error
	if call.Params, err = json.Marshal(params); err != nil {
		b.t.Fatal(err)
	}
	if params == nil {
		call.Params = nil
	}
	text, _ := json.Marshal(call)
	if err := b.conn.Write(ctx, websocket.MessageText, text); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var m cdpMessage
		if err := json.Unmarshal(text, &m); err != nil {
			b.t.Fatal(err)
		}
		switch {
		case m.ID == call.ID && m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		case m.ID == call.ID && result != nil:
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
			return
		case m.ID == call.ID:
			return
		case m.Method == "Runtime.exceptionThrown",
			m.Method == "Log.entryAdded" && strings.Contains(string(m.Params), `"error"`):
			b.faults = append(b.faults, string(m.Params))
		}
	}
}

// open goes to a page and waits until it is there.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do("Page.navigate", map[string]any{"url": url}, nil)
	b.until("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// eval is what an expression of JavaScript is in the page, which may be a promise.
func (b *browser) eval(expression string) (value any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	b.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true,
		"awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails.Exception.Description)
	}
	return answer.Result.Value
}

// until waits for an expression to be true.
func (b *browser) until(expression string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.t.Logf("the page says: %v", b.eval("document.body.innerText"))
		}
	}()
	until(b.t, expression, func() bool { return b.eval(expression) == true })
}

// press clicks what a selector finds.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// fill writes into a field, as keys would.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.eval(fmt.Sprintf("document.querySelector(%q).select(); undefined", selector))
	b.eval(fmt.Sprintf("document.querySelector(%q).focus()", selector))
	b.do("Input.insertText", map[string]any{"text": text}, nil)
}

// key presses a key of the keyboard where the focus is.
func (b *browser) key(name, text string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "ArrowRight": 39}
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name, "code": name,
			"text": text, "windowsVirtualKeyCode": codes[name]}, nil)
		text = ""
	}
}

// prefer sets the system's colours, and size that of the window.
func (b *browser) prefer(scheme string) {
	b.t.Helper()
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (b *browser) size(width, height int) {
	b.t.Helper()
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height,
		"deviceScaleFactor": 1, "mobile": false}, nil)
}

// shoot writes a picture of the whole page for people to look at, when they have said where to.
func (b *browser) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("THRONG_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	raw, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), raw, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// content has no complaints.
func (b *browser) content() {
	b.t.Helper()
	for _, fault := range b.faults {
		b.t.Errorf("the page complained: %s", fault)
	}
}
