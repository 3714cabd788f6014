package tuning

import (
	"io"
	web "net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// curl is a command that the demo prints: perhaps a header, then a body and a URL.
var curl = regexp.MustCompile(`curl (?:-H 'Authorization: ([^']+)' [^\n]*\\\n +)?` +
	`-d '([^']+)' (?:\\\n +)?(http://\S+)`)

// TestDemo does what the demo says can be tried, and ends it as an operator would.
func TestDemo(t *testing.T) {
	const any = "127.0.0.1:0"
	demo := exec.Command(build(t), "-demo", "-listen", any, "-api", any, "-admin", any)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	demo.Stderr = &errs
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = demo.Process.Kill() })
	defer late.Stop()

	// All of it is printed at once, and nothing after it.
	buf := make([]byte, 64<<10)
	n := 0
	for !strings.Contains(string(buf[:n]), "/events\n\n") {
		more, err := out.Read(buf[n:])
		if n += more; err != nil {
			t.Fatalf("%v after %q; on standard error %q", err, buf[:n], errs.String())
		}
	}
	commands := curl.FindAllStringSubmatch(string(buf[:n]), -1)
	if len(commands) != 2 {
		t.Fatalf("the demo prints %d curl commands, want 2:\n%s", len(commands), buf[:n])
	}
	for i, status := range []int{web.StatusOK, web.StatusAccepted} {
		try(t, commands[i], status)
	}
	if err := demo.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v; on standard error %q", err, errs.String())
	}
}

// try sends what the command would.
func try(t *testing.T, command []string, status int) {
	t.Helper()
	r, err := web.NewRequest(web.MethodPost, command[3], strings.NewReader(command[2]))
	if err != nil {
		t.Fatal(err)
	}
	if command[1] != "" {
		r.Header.Set("Authorization", command[1])
	}
	answer, err := web.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != status {
		t.Errorf("%s: got %d %s, want %d", command[0], answer.StatusCode, text, status)
	}
}
