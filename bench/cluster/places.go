package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// place is where a node runs: among all processes, or in a network namespace of its own.
type place struct {
	namespace string // "": none.
	link      string // The host's end of its way to the engines and the other nodes.
	cluster   string // Its address there,
	door      string // and the one for clients and backends.
}

// places are those of all nodes. With namespaces each node has two ways out: one to a bridge at
// which the engines and the other nodes are, and one for clients. A partition takes down the first
// at the bridge, so that what a node sends is dropped without a word and comes from nowhere, while
// its clients still reach it: only so can be seen that nobody hears it as an owner.
type places struct {
	engines string // The address at which they listen.
	nodes   []place
	bridge  string
}

// The addresses are of the block that is set aside for benchmarks, 198.18.0.0/15.
const (
	clusterNet = "198.18.%d.%d"
	doorNet    = "198.19.%d.%d"
)

// namePrefix is that of namespaces and links, with the process behind it.
const namePrefix = "thr"

// makePlaces makes places for nodes. Whoever calls it calls remove, whether it failed or not.
func makePlaces(nodes int, namespaces bool) (*places, error) {
	p := &places{engines: "127.0.0.1", nodes: make([]place, nodes)}
	if !namespaces {
		for i := range p.nodes {
			p.nodes[i] = place{cluster: "127.0.0.1", door: "127.0.0.1"}
		}
		return p, nil
	}
	removeStale()
	const netsMax = 250
	pid, net := os.Getpid(), os.Getpid()%netsMax+1
	p.bridge, p.engines = fmt.Sprint(namePrefix, pid, "b"), fmt.Sprintf(clusterNet, net, 1)
	if err := ip(
		"link add "+p.bridge+" type bridge",
		"addr add "+p.engines+"/24 dev "+p.bridge,
		"link set "+p.bridge+" up",
	); err != nil {
		return p, err
	}
	for i := range p.nodes {
		to := &p.nodes[i]
		name := fmt.Sprint(namePrefix, pid, "-", i)
		*to = place{link: fmt.Sprint(namePrefix, pid, "c", i),
			cluster: fmt.Sprintf(clusterNet, net, 10+i), door: fmt.Sprintf(doorNet, net, 4*i+2)}
		if err := ip("netns add " + name); err != nil {
			return p, err
		}
		to.namespace = name
		door := fmt.Sprint(namePrefix, pid, "d", i)
		if err := ip(
			"link add "+to.link+" type veth peer name cluster netns "+name,
			"link set "+to.link+" master "+p.bridge+" up",
			"link add "+door+" type veth peer name door netns "+name,
			fmt.Sprintf("addr add "+doorNet+"/30 dev %s", net, 4*i+1, door),
			"link set "+door+" up",
			"-n "+name+" addr add "+to.cluster+"/24 dev cluster",
			"-n "+name+" addr add "+to.door+"/30 dev door",
			"-n "+name+" link set lo up",
			"-n "+name+" link set cluster up",
			"-n "+name+" link set door up",
		); err != nil {
			return p, err
		}
	}
	return p, nil
}

// cut takes a node away from the engines and the other nodes, or brings it back.
func (p *places) cut(node int, away bool) error {
	state := "up"
	if away {
		state = "down"
	}
	return ip("link set " + p.nodes[node].link + " " + state)
}

// remove removes the namespaces; their links go with them.
func (p *places) remove() {
	for _, to := range p.nodes {
		if to.namespace != "" {
			_ = ip("netns del " + to.namespace)
		}
	}
	if p.bridge != "" {
		_ = ip("link del " + p.bridge)
	}
}

// removeStale removes what a process has left that was killed.
func removeStale() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		text, ours := strings.CutPrefix(name, namePrefix)
		text, _, _ = strings.Cut(text, "-")
		if pid, err := strconv.Atoi(text); ours && err == nil && !processRuns(pid) {
			_ = ip("netns del " + name)
			_ = exec.Command("ip", "link", "del", fmt.Sprint(namePrefix, pid, "b")).Run()
		}
	}
}

func processRuns(pid int) bool {
	_, err := os.Stat(fmt.Sprint("/proc/", pid))
	return err == nil
}

// ip runs commands of ip until one fails.
func ip(commands ...string) error {
	for _, c := range commands {
		if text, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(text)))
		}
	}
	return nil
}
