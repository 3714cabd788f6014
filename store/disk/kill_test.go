package disk

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"throng/store"
)

// killWriterFolder in the environment makes the test binary the writer of TestKill.
const killWriterFolder = "THRONG_TEST_KILL_FOLDER"

// killIDs bounds the ids that the batches use: few, so that ops meet each other, and so that the
// whole state can be compared after each kill.
const (
	killUsers  = 60
	killGuilds = 6
	killKills  = 50

	// killSpinMax is, in random numbers drawn, about as long as a batch takes.
	killSpinMax = 1_000_000
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killWriterFolder); folder != "" {
		if err := killWriter(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// killWriter applies batches from where the directory is and prints the number of each once it is
// acknowledged. It goes on until it is killed.
func killWriter(folder string) error {
	d, err := Open(folder)
	if err != nil {
		return err
	}
	at, err := killMark(d)
	if err != nil {
		return err
	}
	// Something is printed before the first batch too, so that the kill may come that early.
	for n := at; ; {
		if _, err := fmt.Printf("%d\n", n); err != nil {
			return err
		}
		n++
		if err := d.Apply(killBatch(n)); err != nil {
			return err
		}
	}
}

// killMark is the number of the last batch in the directory: each ends with a user that tells it.
func killMark(d store.Directory) (int, error) {
	user, err := d.User(killUsers)
	if user == nil || err != nil {
		return 0, err
	}
	return strconv.Atoi(user.Name)
}

// killBatch makes batch n, the same in every process.
func killBatch(n int) []store.Op {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	user := func() uint64 { return 1 + r.Uint64N(killUsers-1) }
	known := uint64(1) // Guild 1 is put first and never deleted, so that members always have one.
	ops := []store.Op{putGuild(known, fmt.Sprint("first ", n))}
	for range 1 + r.IntN(200) {
		switch guild := 2 + r.Uint64N(killGuilds-1); r.IntN(14) {
		case 0:
			ops = append(ops, putUser(user(), fmt.Sprint("user ", r.Uint32())))
		case 1:
			ops = append(ops, putToken(user(), killToken(r.IntN(killUsers))))
		case 2:
			ops = append(ops, revokeTokens(user()))
		case 3:
			ops = append(ops, deleteGuild(guild))
			if known == guild {
				known = 1
			}
		case 4:
			// Documents of some pages, so that commits are long enough to be hit.
			ops = append(ops, putGuild(guild, fmt.Sprintf("%0*d", 1+r.IntN(20_000), r.Uint32()),
				guild*8, guild*8+r.Uint64N(4)+1))
			known = guild
		case 5, 6:
			ops = append(ops, deleteMember(guild, user()))
		default:
			ops = append(ops, putMember(known, user(), r.Uint64N(9), r.Uint64N(9)))
		}
	}
	return append(ops, putUser(killUsers, strconv.Itoa(n)))
}

func killToken(i int) string { return fmt.Sprint("token ", i) }

// TestKill kills a writing process 50 times at any moment, and each time what was acknowledged is
// there and the batch that was under way is there whole or not at all. It speaks of the process;
// that the disk itself keeps what it was told to flush cannot be tried this way.
func TestKill(t *testing.T) {
	folder := t.TempDir()
	model := store.NewMemory()
	var tokens []string
	for i := range killUsers {
		tokens = append(tokens, killToken(i))
	}
	r := rand.New(rand.NewPCG(2, 2))
	applied, unacknowledged := 0, 0
	for range killKills {
		acknowledged := killRun(t, folder, r, applied)
		d, err := Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		mark, err := killMark(d)
		if err != nil {
			t.Fatal(err)
		}
		if mark != acknowledged && mark != acknowledged+1 {
			t.Fatalf("acknowledged were %d batches, there are %d", acknowledged, mark)
		}
		unacknowledged += mark - acknowledged
		for applied < mark {
			applied++
			if err := model.Apply(killBatch(applied)); err != nil {
				t.Fatal(err)
			}
		}
		got := facts(t, d, killUsers+1, tokens)
		want := facts(t, model, killUsers+1, tokens)
		if !slices.Equal(got, want) {
			t.Fatalf("after batch %d the file differs from what was applied", mark)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d batches, of %d kills %d came between commit and acknowledgement",
		applied, killKills, unacknowledged)
}

// killRun starts a writer, kills it after so many acknowledgements and returns the last one that
// it gave, which may be a later one, or the one before if it gave none.
func killRun(t *testing.T, folder string, r *rand.Rand, before int) (acknowledged int) {
	t.Helper()
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), killWriterFolder+"="+folder)
	writer.Stderr = os.Stderr
	output, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged = before
	count := r.IntN(12)
	lines := bufio.NewReader(output)
	for i := 0; ; i++ {
		if i == count {
			// An acknowledgement is followed by the making of the next batch. To hit all of it,
			// its writes and its commit, some work of random length comes before the kill.
			for range r.IntN(killSpinMax) {
				r.Uint64()
			}
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if acknowledged, err = strconv.Atoi(line[:len(line)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Wait(); err == nil || writer.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return acknowledged
}
