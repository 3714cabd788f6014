package node

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestConsoleInABrowser looks at a demo through a real browser: figures move, two clients talk to
// each other, a session is found and closed, and all of it fits.
func TestConsoleInABrowser(t *testing.T) {
	t.Parallel()
	needChromium(t)
	r := startRig(t, Config{Demo: true})
	b := openBrowser(t, r.context())
	b.size(1360, 900)
	b.prefer("light")
	b.open("http://" + r.doors["admin"] + "/")
	b.until("state.textContent === 'ready'")
	b.until("document.querySelector('#tile-deliveries .value').innerText.trim() === '0'")

	talkInPanes(b)
	watchFigures(r, b)
	namesAreText(r, b)
	closeFromInspector(r, b)
	fits(b)
	inBothColours(b)
	b.content()
}

// talkInPanes goes to the view by keyboard, connects both clients, and has one say something.
func talkInPanes(b *browser) {
	b.t.Helper()
	b.eval("document.getElementById('tab-overview').focus()")
	b.key("ArrowRight", "")
	b.key("ArrowRight", "")
	b.until("document.activeElement.id === 'tab-try' && !document.getElementById('try').hidden")
	for pane := range 2 {
		b.press(paneOf(pane) + " .connect")
	}
	for pane := range 2 {
		b.until(says(pane, ".said", ", session "))
		b.until(fmt.Sprintf("document.querySelector(%q).options.length > 0",
			paneOf(pane)+" .channel"))
	}
	b.fill(paneOf(0)+" .content", "hello <i>from the left</i>")
	b.key("Enter", "\r")
	for pane := range 2 {
		b.until(says(pane, ".log", `"content":"hello <i>from the left</i>"`))
		b.until(says(pane, ".log", "ms after Send"))
	}
	b.press(paneOf(1) + " .drop")
	b.until(says(1, ".said", "closed 4000"))
	b.press(paneOf(1) + " .connect")
	b.until(says(1, ".log", "RESUMED"))
	b.tabs("try")
	b.shoot("try")
}

func paneOf(pane int) string { return fmt.Sprintf("#panes > :nth-child(%d)", pane+1) }

// says is whether a part of a pane has a text.
func says(pane int, part, text string) string {
	return fmt.Sprintf("document.querySelector(%q).textContent.includes(%q)",
		paneOf(pane)+" "+part, text)
}

// watchFigures publishes until the overview shows it.
func watchFigures(r *rig, b *browser) {
	b.t.Helper()
	b.press("#tab-overview")
	figure := func(id string) string {
		return "document.querySelector('#tile-" + id + " .value').innerText.trim()"
	}
	b.until(figure("connections") + " === '2'")
	b.until(figure("sessions") + " === '2'")
	moves := 0
	for _, id := range []string{"events", "deliveries", "bytes", "batching", "p50", "p99"} {
		until(b.t, id+" moves", func() bool {
			for range 20 {
				moves++
				r.publish(demoGuild, moves)
			}
			text := b.eval(figure(id)).(string)
			return strings.ContainsAny(text, "123456789")
		})
	}
	b.until("document.querySelector('#largest tbody').innerText.includes('throng demo')")
	b.until("document.querySelector('#busiest tbody').innerText.includes('throng demo')")
	b.until("document.querySelector('#types tbody').innerText.includes('MESSAGE_CREATE')")
	b.until("document.querySelector('#owners tbody').innerText.includes('loop1')")
	b.until("document.querySelector('#tile-deliveries path.line').getAttribute('d') !== null")
	b.shoot("overview")
}

// namesAreText: a guild or a message that is written like markup is shown as it is written.
func namesAreText(r *rig, b *browser) {
	b.t.Helper()
	r.guildDoc(900, `{"name":"<img src=x onerror=alert()>","owner_id":"1"}`)
	b.until("document.querySelector('#largest tbody').innerText.includes('<img src=x onerror')")
	if got := b.eval("document.querySelectorAll('main img, main i:not(.bar i)').length"); got != 0.0 {
		b.t.Errorf("%v elements were made of names", got)
	}
}

// closeFromInspector finds the session of a user and ends it.
func closeFromInspector(r *rig, b *browser) {
	b.t.Helper()
	b.press("#tab-sessions")
	b.fill("#find-id", demoUsers[1].id.String())
	b.key("Enter", "\r")
	b.until("document.querySelectorAll('#found .session').length === 1")
	b.until("document.querySelector('#found .facts').innerText.includes('" +
		demoUsers[1].id.String() + "')")
	b.shoot("sessions")
	before := r.closes(EndedByOperator)
	end := "#found .session header button:last-child"
	b.press(end)
	b.until("document.querySelector('" + end + "').textContent === 'Close: sure?'")
	b.press(end)
	b.until("document.querySelectorAll('#found .session').length === 0")
	if got := r.closes(EndedByOperator); got != before+1 {
		b.t.Errorf("%d sessions were ended, want 1", got-before)
	}
	b.until(says(0, ".said", "closed"))
}

// fits holds that nothing is wider than a telephone.
func fits(b *browser) {
	b.t.Helper()
	b.size(400, 900)
	for _, view := range []string{"overview", "sessions", "try"} {
		b.press("#tab-" + view)
		wide, window := b.eval("document.documentElement.scrollWidth"), b.eval("innerWidth")
		if wide.(float64) > 400 || window != 400.0 {
			b.t.Errorf("%s is %v wide in a window of %v", view, wide, window)
		}
		b.shoot(view + "-400")
	}
	b.size(1360, 900)
	b.press("#tab-overview")
}

// inBothColours holds that the page follows the system, until it is told otherwise.
func inBothColours(b *browser) {
	b.t.Helper()
	ground := func() (sum int) {
		var red, green, blue int
		text := b.eval("getComputedStyle(document.body).backgroundColor").(string)
		if _, err := fmt.Sscanf(text, "rgb(%d, %d, %d)", &red, &green, &blue); err != nil {
			b.t.Fatalf("%q: %v", text, err)
		}
		return red + green + blue
	}
	const light, dark = 600, 100
	b.prefer("dark")
	if got := ground(); got > dark {
		b.t.Errorf("the ground is %d in the dark", got)
	}
	b.shoot("overview-dark")
	b.press("#theme")
	if got := ground(); got < light {
		b.t.Errorf("the ground is %d, and was to be light", got)
	}
	b.prefer("light")
	b.press("#theme")
	if got := ground(); got > dark {
		b.t.Errorf("the ground is %d, and was to be dark", got)
	}
}

// TestConsoleAsksForTheToken: the page comes without one, and shows nothing until it has it.
func TestConsoleAsksForTheToken(t *testing.T) {
	t.Parallel()
	needChromium(t)
	r := startRig(t, Config{AdminToken: "open-sesame"})
	b := openBrowser(t, r.context())
	b.open("http://" + r.doors["admin"] + "/")
	for _, token := range []string{"wrong", "open-sesame"} {
		b.until("document.getElementById('ask').open")
		b.until("state.textContent === 'connecting'")
		b.fill("#ask-token", token)
		b.key("Enter", "\r")
		if token == "wrong" {
			b.until("document.getElementById('ask-why').textContent.startsWith('This is not')")
		}
	}
	b.until("!document.getElementById('ask').open && state.textContent === 'ready'")
	if got := b.eval("document.cookie"); got != "" {
		t.Errorf("the page has a cookie, %v", got)
	}
}

// TestConsolePolicyNamesTheGateway: the page may connect to the gateway where it looks for it, and
// a Host that is none cannot change the policy.
func TestConsolePolicyNamesTheGateway(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	_, port, _ := strings.Cut(r.doors["gateway"], ":")
	for host, want := range map[string]string{
		"localhost:9090":   "connect-src 'self' ws://localhost:" + port + ";",
		"[::1]:9090":       "connect-src 'self' ws://[::1]:" + port + ";",
		"a;script-src%20*": "connect-src 'self';",
	} {
		request, err := http.NewRequest("GET", "http://"+r.doors["admin"]+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusBadRequest {
			continue // Go's server has refused the Host.
		}
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, want) || strings.Count(policy, "script-src") != 1 {
			t.Errorf("Host %q: got policy %q", host, policy)
		}
	}
}
