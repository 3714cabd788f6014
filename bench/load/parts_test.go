package load

import (
	"bytes"
	"compress/zlib"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"throng/wire"
)

func TestTimers(t *testing.T) {
	var heap timers
	random := rand.New(rand.NewPCG(1, 2))
	var want []int64
	for range 500 {
		at := random.Int64N(100)
		heap.push(timer{at: at})
		want = append(want, at)
		if random.IntN(3) == 0 {
			slices.Sort(want)
			if got := heap.pop().at; got != want[0] {
				t.Fatalf("got %d, want %d", got, want[0])
			}
			want = want[1:]
		}
	}
	slices.Sort(want)
	for _, at := range want {
		if got := heap.pop().at; got != at {
			t.Fatalf("got %d, want %d", got, at)
		}
	}
}

// TestCountsAreAllAdded holds that a count which is added to Counts is added up as well.
func TestCountsAreAllAdded(t *testing.T) {
	var c Counts
	value := reflect.ValueOf(&c).Elem()
	numbers := 0
	for i := range value.NumField() {
		if value.Field(i).Kind() == reflect.Uint64 {
			numbers++
			value.Field(i).SetUint(uint64(i + 1))
		}
	}
	if got := len(c.numbers()); got != numbers {
		t.Errorf("%d numbers, want %d", got, numbers)
	}
	c.Closes, c.Resumes = map[string]uint64{"eof": 1}, map[string]uint64{"asked": 2}
	var twice Counts
	twice.add(&c)
	twice.add(&c)
	for i := range value.NumField() {
		if field := value.Field(i); field.Kind() == reflect.Uint64 {
			if got := reflect.ValueOf(twice).Field(i).Uint(); got != 2*field.Uint() {
				t.Errorf("%s is %d, want %d", value.Type().Field(i).Name, got, 2*field.Uint())
			}
		}
	}
	if twice.Closes["eof"] != 2 || twice.Resumes["asked"] != 4 {
		t.Errorf("got %v and %v", twice.Closes, twice.Resumes)
	}
}

func TestQuantiles(t *testing.T) {
	var one, other, both stats
	for i := range int64(1000) {
		one.record(measureEvent, (i+1)*1e6)
	}
	other.record(measureEvent, -5)
	other.record(measureEvent, int64(2*time.Hour))
	other.delivered(3, 5e9)
	one.delivered(1, 4e9)
	both.add(&one)
	both.add(&other)
	p := both.phase("x", 2)
	q := p.Event
	near := func(got, want float64) bool { return got > want*0.99 && got < want*1.01 }
	if q.Count != 1002 || !near(q.P50, 500) || !near(q.P90, 900) || !near(q.P99, 991) ||
		!near(q.Max, 3_600_000) {
		t.Errorf("got %+v", q)
	}
	if p.Delivered != 4 || p.DeliveriesPerSecond != 4 || p.Connect != (Quantiles{}) {
		t.Errorf("got %+v", p)
	}
}

func TestUsage(t *testing.T) {
	stat := "12 (a ) b) S 1 12 12 0 -1 4194560 1 0 0 0 250 125 0 0 20 0 9 0 100 5000000 300 1 1"
	u, err := parseUsage(stat)
	if err != nil || u.UserSeconds != 2.5 || u.SystemSeconds != 1.25 || u.CPUSeconds() != 3.75 ||
		u.RSSBytes != 300*uint64(os.Getpagesize()) {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err := parseUsage("12 (x) S"); err == nil {
		t.Error("half a line is a process")
	}
	if got := u.since(Usage{1, 1, 7}); got.CPUSeconds() != 1.75 || got.RSSBytes != u.RSSBytes {
		t.Errorf("since: %+v", got)
	}
	if got := lineOf("a: 1\nmodel name\t: X Y\nmodel name: Z\n", "model name"); got != "X Y" {
		t.Errorf("lineOf: %q", got)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"a target", func(c *Config) { c.Target = "x" }, "-target"},
		{"a remote gateway", func(c *Config) { c.URL = "ws://192.0.2.1:80/" }, "-allow-remote"},
		{"one of them remote", func(c *Config) { c.URL += ",ws://192.0.2.1:80/" }, "-allow-remote"},
		{"a remote admin", func(c *Config) { c.Admin = "http://192.0.2.1:80" }, "-admin"},
		{"a remote publisher", func(c *Config) { c.PublishURL = "http://192.0.2.1:80" },
			"-publish-url"},
		{"TLS", func(c *Config) { c.URL = "wss://127.0.0.1:80/" }, "-url"},
		{"no port", func(c *Config) { c.URL = "ws://127.0.0.1/" }, "-url"},
		{"no admin", func(c *Config) { c.Admin, c.Rate = "", 1 }, "-admin"},
		{"nothing to publish", func(c *Config) { c.Target, c.Rate = TargetWS, 1 }, "-publish-frame"},
		{"a negative number", func(c *Config) { c.Rate = -1 }, "-rate"},
		{"more than all", func(c *Config) { c.Frozen, c.Slow = 0.6, 0.6 }, "-frozen"},
		{"a fraction of two", func(c *Config) { c.Cut = 2 }, "-cut"},
		{"a weight", func(c *Config) { c.Weight = "x" }, "-weight"},
		{"a shape", func(c *Config) { c.Shape = "x" }, "-shape"},
		{"a mix", func(c *Config) { c.Mix = "x" }, "-mix"},
		{"too many", func(c *Config) { c.Connections = 50_000_000 }, "-connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{URL: "ws://127.0.0.1:1/", Admin: "127.0.0.1:1"}
			c.change(&config)
			_, err := Run(t.Context(), config, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %s", err, c.want)
			}
		})
	}
}

// TestFlags holds that the help names every flag, once.
func TestFlags(t *testing.T) {
	var c Config
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	c.Bind(f)
	grouped := map[string]int{}
	for _, g := range Groups {
		for _, name := range g.Flags {
			grouped[name]++
			if f.Lookup(name) == nil {
				t.Errorf("-%s is no flag", name)
			}
		}
	}
	f.VisitAll(func(flag *flag.Flag) {
		if grouped[flag.Name] != 1 {
			t.Errorf("-%s is in %d groups", flag.Name, grouped[flag.Name])
		}
	})
	err := f.Parse([]string{"-encoding", "etf", "-compress", "zstd-stream", "-intents", "0x201",
		"-send", "a", "-send", "b", "-target", "ws", "-receive-buffer", "8K", "-rate", "2.5",
		"-admin-token", "secret", "-publish-key", "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Encoding != wire.EncodingETF || c.Compress != wire.CompressionZstd || c.Intents != 0x201 ||
		!slices.Equal(c.Send, []string{"a", "b"}) || c.Target != TargetWS || c.ReceiveBuffer != 8192 {
		t.Errorf("got %+v", c)
	}
	given := c.withDefaults().given()
	if given["rate"] != "2.5" || given["encoding"] != "etf" || given["duration"] != "" {
		t.Errorf("given: %v", given)
	}
	for name, value := range given {
		if strings.Contains(value, "secret") {
			t.Errorf("-%s shows what is to be kept", name)
		}
	}
	for _, args := range [][]string{{"-encoding", "xml"}, {"-compress", "br"}, {"-intents", "x"}} {
		f := flag.NewFlagSet("load", flag.ContinueOnError)
		f.SetOutput(new(bytes.Buffer))
		new(Config).Bind(f)
		if f.Parse(args) == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// TestInflater reads streams of a compressor with a context and of our own shared blocks.
func TestInflater(t *testing.T) {
	texts := []string{`{"op":10}`, strings.Repeat("abc", 5000), "x", strings.Repeat("abc", 5000)}
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	var s bytes.Buffer
	sw, err := zstd.NewWriter(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		compression wire.Compression
		out         *bytes.Buffer
		write       func(string)
	}{
		{wire.CompressionZlib, &z, func(text string) { zw.Write([]byte(text)); zw.Flush() }},
		{wire.CompressionZstd, &s, func(text string) { sw.Write([]byte(text)); sw.Flush() }},
	} {
		f := newInflater(c.compression)
		for i, text := range texts {
			c.write(text)
			got, err := f.push(append([]byte(nil), c.out.Bytes()...))
			c.out.Reset()
			if err != nil || string(got) != text {
				t.Errorf("%v: message %d is %d bytes, %v; want %d", c.compression, i, len(got), err,
					len(text))
			}
		}
		if _, err := f.push([]byte("nonsense that is no block of anything at all")); err == nil {
			t.Errorf("%v: nonsense is read", c.compression)
		}
		f.stop()
		ours := newInflater(c.compression)
		v := wire.VariantOf(wire.EncodingJSON, c.compression)
		hello := wire.AppendHello(nil, v, 41250, "x", 1<<20)
		if got, err := ours.push(hello[headerOf(hello):]); err != nil || !wire.ValidJSON(got, 8) {
			t.Errorf("%v: our hello is %q, %v", c.compression, got, err)
		}
		event := wire.NewDispatch("FOO", []byte(`{"content":"`+strings.Repeat("y", 200)+`"}`), nil)
		frame := event.Frame(v)
		message := append([]byte(nil), frame.Bytes...)
		if c.compression == wire.CompressionZstd {
			message, _ = wire.AppendStreamed(nil, frame.Bytes, 1, &wire.Stream{}, 1<<20)
		} else {
			wire.PutSeq(message, frame.Hole, v, 1)
		}
		got, err := ours.push(message[headerOf(message):])
		if err != nil || !wire.ValidJSON(got, 8) {
			t.Errorf("%v: our event is %q, %v", c.compression, got, err)
		}
		ours.stop()
	}
}

// headerOf is the length of the header of a short frame.
func headerOf(frame []byte) int {
	if frame[1] == 126 {
		return 4
	}
	return 2
}
