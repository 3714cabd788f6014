package cluster

import (
	"context"
	"os"
	"testing"
	"time"

	"throng/node/cluster/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// needEngines is asked by each test that starts real servers.
func needEngines(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real servers")
	}
	enginetest.Parallel(t)
}

// until waits for a condition that comes from elsewhere.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// patient is a context that ends after patience.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
