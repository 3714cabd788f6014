package cluster

import (
	"errors"
	"strings"
	"testing"

	"throng/node/cluster/enginetest"
)

// behind opens a log that reaches the server through a proxy.
func behind(t *testing.T, server *enginetest.Engine) (*reader, *enginetest.Proxy) {
	t.Helper()
	proxy := enginetest.NewProxy(t, server.Host())
	r := &reader{t: t, values: map[string]uint64{}, seqs: map[string]uint64{}}
	cfg := r.config(1, 0, server)
	cfg.NATS.Servers = "nats://" + proxy.Address()
	var err error
	r.Log, err = OpenLog(patient(t), cfg)
	must(t, err)
	t.Cleanup(r.Close)
	return r, proxy
}

// TestLogFindsItsOwn: a batch is stored, its answer is lost, and it is sent again. What it is told
// then is what became of it, and it is there once.
func TestLogFindsItsOwn(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	for _, c := range []struct {
		name     string
		subjects string
		taken    bool   // Somebody else takes the fence before it comes again,
		replaced string // and writes this.
		want     error
	}{
		{"one", "x", false, "", nil},
		{"many", "x y z", false, "", nil},
		{"the fence itself", "own", false, "", nil},
		{"one, taken", "x", true, "", nil},
		{"many, taken", "x y z", true, "y", nil},
		{"one, replaced", "x", true, "x", ErrLogConflict},
		{"many, replaced", "x y z", true, "z", ErrLogUnknown},
		{"the fence itself, taken", "own", true, "", ErrLogConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, proxy := behind(t, server)
			b := openLog(t, 1, 0, server)
			name := func(s string) string { return strings.ReplaceAll(c.name, " ", "_") + "." + s }
			var subjects []string
			for _, s := range strings.Fields(c.subjects) {
				subjects = append(subjects, name(s))
			}
			token := a.claim(name("own"), 0)
			must(t, b.Wait(patient(t), token))
			before := b.Applied()
			proxy.Mute()
			results := a.begin(fenced(name("own"), token, 5, subjects...))
			until(t, "the batch is stored", func() bool {
				return b.value(subjects[len(subjects)-1]) == 5
			})
			stored := b.seqs[subjects[len(subjects)-1]]
			if c.taken {
				b.mu.Lock()
				seq := b.seqs[name("own")]
				b.mu.Unlock()
				next := b.claim(name("own"), seq)
				if c.replaced != "" {
					_, err := b.store(fenced(name("own"), next, 6, name(c.replaced)))
					must(t, err)
				}
			}
			proxy.Cut()
			proxy.Thaw()
			last, err := await(t, results)
			if c.want == nil && (err != nil || last != stored) {
				t.Errorf("stored at %d, and the answer is %d, %v", stored, last, err)
			}
			if c.want != nil && (!errors.Is(err, c.want) || !errors.Is(err, ErrLogUnknown)) {
				t.Errorf("the answer is %v", err)
			}
			end, err := b.write(name("end"), 1)
			must(t, err)
			must(t, b.Wait(patient(t), end))
			more := 1 + len(subjects)
			if c.taken {
				more++
			}
			if c.replaced != "" {
				more++
			}
			if got := b.Applied() - before; got != uint64(more) {
				t.Errorf("%d messages were stored, and not %d", got, more)
			}
		})
	}
}

// TestLogVoidsTokens: a batch that is on its way for too long is unknown, and may come to be stored
// when nobody waits for it any more. Nothing is written before the fence has another token, and
// then what comes late is refused.
func TestLogVoidsTokens(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a, proxy := behind(t, server)
	b := openLog(t, 1, 0, server)
	token, other := a.claim("own", 0), a.claim("other", 0)
	proxy.Freeze()
	results := a.begin(fenced("own", token, 1, "x", "y"))
	along := a.begin(fenced("own", token, 2, "x"))
	if _, err := await(t, results); !errors.Is(err, ErrLogUnknown) {
		t.Errorf("without an answer: %v", err)
	}
	if _, err := await(t, along); !errors.Is(err, ErrLogVoid) {
		t.Errorf("behind what is unknown: %v", err)
	}
	if _, err := a.store(fenced("own", token, 3, "x")); !errors.Is(err, ErrLogVoid) {
		t.Errorf("under the same token: %v", err)
	}
	claim := a.begin(fenced("own", token, 1, "own"))
	elsewhere := a.begin(fenced("other", other, 4, "z"))
	// While a waits to be let through again, b takes the fence; whatever of a's attempts comes
	// late, comes too late.
	next := b.claim("own", token)
	proxy.Thaw()
	if _, err := await(t, claim); !errors.Is(err, ErrLogConflict) {
		t.Errorf("the fence is taken: %v", err)
	}
	last, err := await(t, elsewhere)
	must(t, err)
	b.is(last, 0, "x", "y")
	b.is(last, 4, "z")
	last = b.claim("own", next)
	must(t, a.Wait(patient(t), last))
	a.writer.mu.Lock()
	defer a.writer.mu.Unlock()
	if len(a.writer.queue.void) != 0 {
		t.Errorf("tokens are void still: %v", a.writer.queue.void)
	}
}
