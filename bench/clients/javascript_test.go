package clients

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/bench/internal/server"
)

func TestDiscordJS(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialScript("discordjs.js"), reconnectCode: 4200})
}

func TestOceanic(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialScript("oceanic.js"), reconnectCode: closedByTCPOnly})
}

func TestEris(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialScript("eris.js"), reconnectCode: 4901,
		postsNot: "eris speaks HTTP over TLS only"})
}

// TestNodeDecodesZlibStream has discord.js' own connection read the shared stream with Node's zlib.
func TestNodeDecodesZlibStream(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialNode22("stream.js", "THRONG_COMPRESSION=ZlibNative"),
		reconnectCode: 4200})
}

// TestNodeDecodesZstdStream has Node's zstd, which stops for good at the end of the first frame,
// read thousands of messages of all sizes, from a node with TLS: Node's OpenSSL opens what crypto/tls
// has sealed.
func TestNodeDecodesZstdStream(t *testing.T) {
	t.Parallel()
	decodesZstd(t)
}

// TestBrowserDecodesZstdStream has fzstd, a decoder written in JavaScript, read the same.
func TestBrowserDecodesZstdStream(t *testing.T) {
	t.Parallel()
	decodesZstd(t, "THRONG_DECODER=fzstd")
}

func decodesZstd(t *testing.T, env ...string) {
	t.Helper()
	shown, err := server.MakeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := startNodeWith(t, "-tls-cert", shown.Cert, "-tls-key", shown.Key)
	provision(t, n)
	rec := newRecord(t)
	env = append(env, "NODE_EXTRA_CA_CERTS="+shown.Cert)
	c := dialNode22("zstd.js", env...)(t, n, botToken, rec)
	defer c.close()
	rec.wait(t, 2, "guild")
	var want []string
	for i := range 2000 {
		length := i % 300
		if i%200 == 199 {
			length = 40_000 + i
		}
		want = append(want, fmt.Sprint(i, strings.Repeat("abc é ", length), i*7919))
	}
	for batch := range slices.Chunk(want, 100) {
		publish(t, n, batch...)
	}
	rec.wantMessages(t, want)
}

// dialNode22 runs a script with the Node that package.json brings: zstd came with version 22.
func dialNode22(name string, env ...string) func(*testing.T, *node, string, *record) client {
	return runScript("node_modules/.bin/node", name, env...)
}

// needNode skips the test where there is no JavaScript to run, but never in CI.
func needNode(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("node_modules/discord.js/package.json")
	}
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("CI must try the JavaScript libraries (npm ci in bench/clients): %v", err)
	}
	t.Skipf("npm ci in bench/clients to try this: %v", err)
}

// script is a library in a process of its own.
type script struct {
	t     *testing.T
	stdin io.WriteCloser
	ended chan struct{}
	cmd   *exec.Cmd
	rec   *record
}

// dialScript returns a dial that runs a script of this folder.
func dialScript(name string) func(*testing.T, *node, string, *record) client {
	return runScript("node", name)
}

func runScript(program, name string, env ...string) func(*testing.T, *node, string, *record) client {
	return func(t *testing.T, n *node, token string, rec *record) client {
		t.Helper()
		needNode(t)
		log := &tail{}
		log.showOnFailure(t, name)
		s := &script{t: t, rec: rec, ended: make(chan struct{}), cmd: exec.Command(program, name)}
		s.cmd.Env = append(os.Environ(), "THRONG_API="+n.api(), "THRONG_TOKEN="+token)
		s.cmd.Env = append(s.cmd.Env, env...)
		s.cmd.Stderr = log
		stdout, err := s.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if s.stdin, err = s.cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go s.listen(stdout, log)
		return s
	}
}

// listen turns the script's lines into events.
func (s *script) listen(stdout io.Reader, log io.Writer) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintf(log, "not an event: %s\n", lines.Bytes())
			continue
		}
		s.rec.add(e)
	}
	_ = s.cmd.Wait()
	close(s.ended)
}

func (s *script) ask(t *testing.T, what map[string]string) {
	t.Helper()
	if err := json.NewEncoder(s.stdin).Encode(what); err != nil {
		t.Fatalf("ask the script: %v", err)
	}
}

func (s *script) members(t *testing.T, guild string) (ids []string, chunks int) {
	t.Helper()
	s.ask(t, map[string]string{"do": "members", "guild": guild})
	answer := s.rec.wait(t, 1, "members")[0]
	return answer.IDs, answer.Chunks
}

func (s *script) post(t *testing.T, channel, content string) {
	t.Helper()
	s.ask(t, map[string]string{"do": "post", "channel": channel, "content": content})
	if answer := s.rec.wait(t, 1, "posted")[0]; answer.Text != content {
		t.Errorf("post answered %+v", answer)
	}
}

// close ends the script's input, which makes it leave.
func (s *script) close() {
	s.stdin.Close()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Error("the script does not leave")
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}
