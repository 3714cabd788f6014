package enginetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// program is the built engines program. Guarded by mu.
var program struct {
	mu     sync.Mutex
	folder string
	path   string
	err    error
}

// Main runs the tests of a package that uses engines, and removes what was built for them.
func Main(m *testing.M) int {
	if err := makePlaces(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	program.mu.Lock()
	defer program.mu.Unlock()
	if program.folder != "" {
		_ = os.RemoveAll(program.folder)
	}
	return code
}

// build returns the program's path. The first call builds it, which takes a minute or two when
// nothing of it is in the build cache, and a moment when it is as some test binary has built it
// before.
func build() (string, error) {
	program.mu.Lock()
	defer program.mu.Unlock()
	if program.path != "" || program.err != nil {
		return program.path, program.err
	}
	program.path, program.err = buildOnce()
	return program.path, program.err
}

// buildOnce. REQUIRES: program.mu is held.
func buildOnce() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if err != nil || root == "." {
		return "", errors.Join(err, errors.New("engines are found from inside of the module only"))
	}
	if program.folder, err = os.MkdirTemp("", "throng-engines-"); err != nil {
		return "", err
	}
	path := filepath.Join(program.folder, "engines")
	return path, keep(path, func(output string) error {
		cmd := exec.Command("go", "build", "-o", output, ".")
		cmd.Dir = filepath.Join(root, "node", "cluster", "engines")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build engines: %w\n%s", err, text)
		}
		return nil
	})
}

// keep builds a program in the user's cache, and gives it path as another name: go build leaves one
// that is up to date as it is, so that not each test binary links etcd and NATS, five seconds of
// processor time. Where that cannot be, the program is built at path.
func keep(path string, build func(output string) error) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return build(path)
	}
	folder := filepath.Join(cache, "throng-tests")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return build(path)
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return build(path)
	}
	defer lock.Close() // And with it the lock.
	kept := filepath.Join(folder, filepath.Base(path))
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return build(path)
	}
	if err := build(kept); err != nil {
		return err
	}
	if os.Link(kept, path) != nil {
		return build(path) // They are on two disks.
	}
	return nil
}
