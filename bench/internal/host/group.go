package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryGroup is a control group with a limit of memory. It needs root.
type MemoryGroup struct {
	folder string
	second bool // version 2
}

const (
	groupsFirst  = "/sys/fs/cgroup/memory"
	groupsSecond = "/sys/fs/cgroup"
)

// NewMemoryGroup makes a group of a name that nobody else has.
func NewMemoryGroup(limitBytes int64) (g *MemoryGroup, err error) {
	name := "throng-bench-" + strconv.Itoa(os.Getpid())
	limit := "memory.limit_in_bytes"
	g = &MemoryGroup{folder: filepath.Join(groupsFirst, name)}
	if _, err := os.Stat(filepath.Join(groupsSecond, "cgroup.controllers")); err == nil {
		g.folder, g.second = filepath.Join(groupsSecond, name), true
		limit = "memory.max"
	}
	if err := os.Mkdir(g.folder, 0o755); err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	if err := g.write(limit, strconv.FormatInt(limitBytes, 10)); err != nil {
		return nil, fmt.Errorf("limit a control group: %w", err)
	}
	return g, nil
}

// Members is the file to which a process writes its id to be in the group.
func (g *MemoryGroup) Members() string { return filepath.Join(g.folder, "cgroup.procs") }

// Most is the most that the group has held, in bytes.
func (g *MemoryGroup) Most() (int64, error) {
	name := "memory.max_usage_in_bytes"
	if g.second {
		name = "memory.peak"
	}
	text, err := os.ReadFile(filepath.Join(g.folder, name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Kills is how many of its processes the kernel has ended for want of memory.
func (g *MemoryGroup) Kills() (int64, error) {
	name := "memory.oom_control"
	if g.second {
		name = "memory.events"
	}
	text, err := os.ReadFile(filepath.Join(g.folder, name))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == "oom_kill" {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no oom_kill", name)
}

// Close removes the group, whose processes have ended.
func (g *MemoryGroup) Close() error { return os.Remove(g.folder) }

func (g *MemoryGroup) write(name, text string) error {
	return os.WriteFile(filepath.Join(g.folder, name), []byte(text), 0o644)
}
