// Command all runs the benches one after the other, but for the guest with a million sessions.
//
//	go run ./bench/all
//
// Each is built and run as go run would; flags are handed on to all of them, -dirty for one. The
// results and the page are written by each bench as it ends, and nothing is committed. It stops
// at the first that fails. It takes some 145 minutes, on a machine with nothing else to do.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"throng/bench/internal/host"
)

var benches = []string{"delivery", "against", "growth", "fairness", "million", "collector",
	"compression", "storms", "push", "guild", "presence", "parts", "pressure", "full",
	"tls", "fire", "restart", "soak", "seeing", "cluster"}

// endTimeout is how long a bench may take to stop its servers after an interrupt.
const endTimeout = 15 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "all: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tree, err := host.ReadTree()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "throng-bench-all-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for _, name := range benches {
		program := filepath.Join(folder, name)
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "./bench/"+name)
		build.Dir, build.Stderr = tree.Root, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
		cmd := exec.CommandContext(ctx, program, os.Args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = tree.Root, os.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = endTimeout
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
