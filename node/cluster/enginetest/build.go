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
	code := m.Run()
	program.mu.Lock()
	defer program.mu.Unlock()
	if program.folder != "" {
		_ = os.RemoveAll(program.folder)
	}
	return code
}

// build returns the program's path. The first call builds it, which takes a minute or two when
// nothing of it is in the build cache, and seconds otherwise.
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
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(root, "node", "cluster", "engines")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build engines: %w\n%s", err, text)
	}
	return path, nil
}
