package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endingLog has a process be told to end in the midst of a takeover: "end early", when the new one
// has everything and has not said so, "end late", when the old one has told it to serve.
type endingLog struct {
	slog.Handler
	spoil string
	node  *Node
}

func (l *endingLog) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case l.spoil == "end early" && r.Message == "sessions are taken over":
		fmt.Println(os.Getpid(), "has", "everything")
		select {} // Until it is killed.
	case l.spoil == "end late" && r.Message == "everything is left to another process":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		<-l.node.endAsked
	}
	return l.Handler.Handle(ctx, r)
}

// TestTakeoverAndAnEnd: a node that is told to end while another process takes over from it has
// nobody serve in its place.
func TestTakeoverAndAnEnd(t *testing.T) {
	t.Parallel()
	for _, spoil := range []string{"end early", "end late"} {
		t.Run(spoil, func(t *testing.T) {
			t.Parallel()
			n := startRestartable(t, Config{}, spoil)
			n.furnish(1000, 2)
			old := n.pid
			if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			served := false
			for late := time.After(patience); ; {
				var line string
				var ok bool
				select {
				case line, ok = <-n.lines:
				case <-late:
					t.Fatal("not all processes have ended")
				}
				if !ok {
					break
				}
				f := strings.Fields(line)
				pid, _ := strconv.Atoi(f[0])
				if pid != old {
					n.pid = pid
					served = served || f[1] != "has"
				}
				if f[1] == "has" {
					if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
				}
			}
			if served != (spoil == "end late") {
				t.Errorf("another process has served: %v", served)
			}
			if err := n.cmd.Wait(); err != nil {
				t.Errorf("the old process has ended with %v", err)
			}
		})
	}
}

// TestNoPartingBehindAnEnd: once the node is to end its sessions stay its own, whatever the process
// that was to take over says.
func TestNoPartingBehindAnEnd(t *testing.T) {
	n := &Node{endAsked: make(chan struct{})}
	n.askEnd()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("it parts from its sessions: %v", v)
		}
	}()
	if err := n.part(&stillness{node: n}); !errors.Is(err, errEndAsked) || n.parted {
		t.Errorf("got %v, parted %v", err, n.parted)
	}
}
