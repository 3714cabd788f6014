package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"throng/bench/internal/crowd"
	"throng/bench/internal/host"
	"throng/bench/internal/server"
	"throng/bench/load"
)

const (
	// receiversMode as the first argument makes this program the clients of the large guild.
	receiversMode = "receivers"
	receiversHere = "all are there"
)

// startReceivers connects the sessions of the large guild from a process of their own: it has much
// to read, and in one process the times of the small guilds would be times of waiting for that.
func startReceivers(ctx context.Context, gateway string, count int) (stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, receiversMode, gateway, strconv.Itoa(count))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the receivers: %w", err)
	}
	end := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	unhook := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != receiversHere+"\n" {
		unhook()
		end()
		return nil, errors.Join(errors.New("the receivers have not connected"), err)
	}
	return func() { unhook(); end() }, nil
}

// receive is that process. It reads whatever comes until it is ended.
func receive(gateway, count string) {
	host.RaiseDescriptors()
	connections, err := strconv.Atoi(count)
	if err == nil {
		var c crowd.Crowd
		err = c.Start(context.Background(), load.Config{URL: "ws://" + gateway + "/",
			Token: server.Tokens("large"), Connections: connections, NoReturn: true,
			Intents: crowd.IntentsQuiet})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fairness: receivers: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(receiversHere)
	select {}
}
