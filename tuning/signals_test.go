package tuning

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignalEndsAtOnce: a node that would be in the grace of its drain for an hour ends with
// the code of an error when it is told a second time. That one signal ends in 0 is TestDemo's.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	const any = "127.0.0.1:0"
	node := exec.Command(build(t), "-data", "", "-listen", any, "-api", any, "-admin", any,
		"-drain-grace", "1h", "-drain-hard", "3h")
	errs, err := node.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = node.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(errs)
	said := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		_ = node.Wait()
		t.Fatalf("it has ended, %v, and did not say %q", node.ProcessState, text)
	}
	said("listening")
	for _, answer := range []string{"grace=1h", "second signal, ending at once"} {
		if err := node.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		said(answer)
	}
	_, _ = io.Copy(io.Discard, errs)
	if _ = node.Wait(); node.ProcessState.ExitCode() != 1 {
		t.Errorf("it has ended with %v, want exit code 1", node.ProcessState)
	}
}
