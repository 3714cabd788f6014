package node

import (
	"fmt"
	"runtime"
	"testing"
)

// TestConsoleShowsWhatIsSlow: a client that does not read is seen in a browser, what the collector
// does, who is busy, and why connections were closed and commands dropped.
func TestConsoleShowsWhatIsSlow(t *testing.T) {
	t.Parallel()
	needChromium(t)
	r, reader, slow := slowRig(t, Config{}, func(c *core) { c.limits.lagMilli = 3_600_000 })
	b := openBrowser(t, r.context())
	b.size(1360, 900)
	b.prefer("light")
	b.open("http://" + r.doors["admin"] + "/")
	b.until("state.textContent === 'ready'")
	b.until(rowOf("slow", "none"))
	b.until("document.getElementById('cluster').hidden") // It is alone.

	n := 0
	publish := func(size int) {
		n++
		r.publishEvent(100, namedEvent("TEST_EVENT", filled(n, size)))
		reader.wantNumber(n)
	}
	r.until("user 2 is stuck", func() bool {
		publish(20_000)
		return r.core.loops[slow.home()].stats.blocked.Load() == 1
	})
	publish(20_000)
	b.until(rowOf("slow", "2", `[1-9]\d*`, `[1-9].* m?s`))
	b.until("document.getElementById('blocked').textContent === '1'")
	until(t, "a loop is busy", func() bool {
		publish(10)
		return b.eval(`[...document.querySelectorAll('#owners tbody tr')].some((row) =>
			/^loop\d/.test(row.cells[0].innerText) && /[1-9].* %/.test(row.cells[2].innerText) &&
			!/scaleX\(0\)/.test(row.querySelector('.bar i').style.transform))`) == true
	})
	runtime.GC()
	for _, row := range [][]string{
		{"CPU", ".*", `[\d.]+ %`}, {"longest pause", "", `[\d.]+ (µs|ms|s)`},
		{"heap, of its goal", ".*", `[1-9][\d.]* [KMG]iB`},
		{"alive at the last", "", `[1-9][\d.]* [KMG]iB`}, {"collections", "", `[1-9][\d,]*`},
	} {
		b.until(rowOf("gc", row...))
	}
	b.until(rowOf("memory", "held", ".*", `[1-9][\d.]* [KMG]iB`))
	b.shoot("slow")
	b.tabs("overview")

	reader.send(8, `{"guild_id":"404","query":"","limit":0}`)
	b.until(rowOf("drops", UnknownGuildCommand.String(), `[1-9]\d*`))
	b.press("#slow button")
	b.until("!document.getElementById('sessions').hidden && " +
		"document.querySelectorAll('#found .session').length === 1")
	b.until(fmt.Sprintf("document.querySelector('#found h2').textContent === %q", slow.session))
	b.tabs("sessions")
	b.press("#tab-try")
	b.tabs("try")
	if err := r.CloseSession(r.context(), slow.session); err != nil {
		t.Fatal(err)
	}
	b.press("#tab-overview")
	b.until(rowOf("slow", "none"))
	b.until(rowOf("closes", EndedByOperator.String(), "1"))
	b.content()
}

// TestConsoleShowsTheCluster: two nodes are in the table of each, and which one it is.
func TestConsoleShowsTheCluster(t *testing.T) {
	needChromium(t)
	e := startEngines(t)
	all := startNodes(t, e.config("ada"), e.config("bob"))
	b := openBrowser(t, all[1].context())
	b.open("http://" + all[1].doors["admin"] + "/")
	b.until("state.textContent === 'ready' && !document.getElementById('cluster').hidden")
	b.until(rowOf("nodes", "ada", "serves"))
	b.until(rowOf("nodes", "bob, this one", "serves", "0", "0", "0", `\d+`))
	b.shoot("cluster")
	b.content()
}

// rowOf is whether a table has a row whose first cells are what the patterns say.
func rowOf(table string, cells ...string) string {
	all := ""
	for i, cell := range cells {
		all += fmt.Sprintf(" && new RegExp(%q).test(row.cells[%d].innerText.trim())",
			"^(?:"+cell+")$", i)
	}
	return fmt.Sprintf("[...document.querySelectorAll('#%s tbody tr')].some((row) => true%s)",
		table, all)
}

// tabs goes through a view by the keyboard alone, and holds that every control is come to. Of the
// views' tabs one is; the arrows go from there.
func (b *browser) tabs(view string) {
	b.t.Helper()
	const controls = `[...document.querySelectorAll('button, input, select, textarea, summary, ' +
		'[tabindex="0"]')].filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0)`
	b.eval(`document.querySelectorAll('[data-reached]').forEach((e) => delete e.dataset.reached)`)
	b.eval(`document.body.tabIndex = -1; document.body.focus()`) // Tab goes on from there.
	b.eval(`document.body.removeAttribute('tabindex')`)
	count := int(b.eval(controls + ".length").(float64))
	for range 2*count + 8 { // The browser has stops of its own: what can be scrolled.
		b.key("Tab", "")
		b.eval("document.activeElement.dataset.reached = 'yes'")
	}
	missed := b.eval(controls + `.filter((e) => !e.dataset.reached).map((e) => e.outerHTML).join()`)
	if missed != "" || count < 4 {
		b.t.Errorf("%s has %d controls, and Tab does not come to %v", view, count, missed)
	}
}
