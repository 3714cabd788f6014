package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

// sampleMark begins a line of the guest that is a sample: name, tab, value.
const sampleMark = "sample\t"

// guestFlags: a million heartbeats every 41 s are more than the guest's processor can do, and the
// descriptors are there.
var guestFlags = []string{"-heartbeat-interval", "2h"}

// runGuest builds static programs, boots the guest with them, and reads what it finds.
func runGuest(ctx context.Context, t *trial.Trial, connections int, memory string) error {
	t.Result.Servers["throng"] = server.ThrongFlags(guestFlags...)
	program := t.Program("million")
	if err := server.Build(ctx, t.Root, "./bench/million", program); err != nil {
		return err
	}
	script := filepath.Join(t.Root, "bench", "million", "guest.sh")
	inside := fmt.Sprintf("/million -inside -connections=%d", connections)
	return t.EachRun(ctx, func(int) error {
		cmd := exec.Command(script, memory, inside, program, t.Program("throng"))
		// The kernel is a tree of processes, which end together as a group.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		})
		defer stop()
		failed := "it said nothing"
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := strings.TrimSpace(lines.Text())
			if name, value, ok := sample(line); ok {
				t.Samples.Add(name, value)
				continue
			}
			if code, ended := strings.CutPrefix(line, "guest: the command ended with "); ended {
				failed = "its command ended with " + code
				if code == "0" {
					failed = ""
				}
				continue
			}
			t.Note("guest: %s", line)
		}
		if err := cmd.Wait(); err != nil && failed != "" {
			failed += ", " + err.Error()
		}
		if failed != "" {
			return fmt.Errorf("guest: %s", failed)
		}
		return nil
	})
}

// sample reads a line of the guest.
func sample(line string) (name string, value float64, ok bool) {
	rest, ok := strings.CutPrefix(line, sampleMark)
	if !ok {
		return "", 0, false
	}
	name, text, ok := strings.Cut(rest, "\t")
	if !ok {
		return "", 0, false
	}
	value, err := strconv.ParseFloat(text, 64)
	return name, value, err == nil
}
