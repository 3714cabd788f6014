package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"throng/store"
)

func TestOpenKeepsAcrossProcesses(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	for i := range 3 {
		d, err := Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		if mark, err := killMark(d); err != nil || mark != i*7 {
			t.Errorf("opening %d: got %d, %v", i, mark, err)
		}
		for n := i*7 + 1; n <= i*7+7; n++ {
			if err := d.Apply(killBatch(n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileHoldsNoToken(t *testing.T) {
	folder := t.TempDir()
	d, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply([]store.Op{putToken(4, "a-token-to-look-for")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(file), "look-for") {
		t.Error("the token itself is in the file")
	}
}

func TestOpenErrorsAreSentencesWithThePath(t *testing.T) {
	write := func(content string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			path := filepath.Join(folder, FileName)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	edit := func(f func(tx *bbolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			db, err := bbolt.Open(filepath.Join(folder, FileName), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(f), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	made := func(then func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			d, err := Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 20 {
				if err := d.Apply(killBatch(n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			then(t, folder)
		}
	}
	tests := []struct {
		name string
		set  func(t *testing.T, folder string)
		want string
	}{
		{"locked", func(t *testing.T, folder string) {
			d, err := Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
		}, "the store PATH is in use by another process (waited 1ms for its lock)"},
		{"another file", write(strings.Repeat("not a store ", 1000)),
			"the file PATH is no store, or is damaged: invalid database"},
		{"a short file", write("x"), "the file PATH is no store, or is damaged: "},
		{"a folder in its place", func(t *testing.T, folder string) {
			if err := os.Mkdir(filepath.Join(folder, FileName), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "the store PATH cannot be opened: is a directory"},
		{"another program's", edit(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("theirs"))
			return err
		}), "the store PATH cannot be prepared: it belongs to another program"},
		{"a later format", made(edit(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyFormat, []byte{2})
		})), "the store PATH cannot be prepared: " +
			"its format is [2] and this version reads [1] only"},
		{"a part missing", made(edit(func(tx *bbolt.Tx) error {
			return tx.DeleteBucket(bucketTokens)
		})), `the store PATH cannot be prepared: its part "tokens" is missing`},
		{"cut short", made(func(t *testing.T, folder string) {
			if err := os.Truncate(filepath.Join(folder, FileName), 5*4096); err != nil {
				t.Fatal(err)
			}
			// Where bbolt puts its list of free pages varies, and so does who notices first.
		}), "the store PATH * was cut short"},
		{"cut short where nothing is read", made(func(t *testing.T, folder string) {
			size := usedBytes(t, folder)
			if err := os.Truncate(filepath.Join(folder, FileName), size-1); err != nil {
				t.Fatal(err)
			}
		}), "the store PATH was cut short: it has "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			test.set(t, folder)
			d, err := open(folder, time.Millisecond)
			if err == nil {
				d.Close()
				t.Fatal("got no error")
			}
			want := strings.ReplaceAll(test.want, "PATH", filepath.Join(folder, FileName))
			begin, within, _ := strings.Cut(want, " *")
			if got := err.Error(); !strings.HasPrefix(got, begin) || !strings.Contains(got, within) {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

func TestOpenNamesTheFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(file)
	want := "the data folder " + file + " cannot be made: not a directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestDamageIsAnErrorNotAPanic overwrites pages of a store, one at a time, and uses all of it.
func TestDamageIsAnErrorNotAPanic(t *testing.T) {
	folder := t.TempDir()
	d, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 30; n++ {
		if err := d.Apply(killBatch(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	used := usedBytes(t, folder)
	whole, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	const pageBytes = 4096
	failed := 0
	whole = whole[:used]
	for page := 2; page*pageBytes < len(whole); page++ {
		for _, with := range []byte{0x00, 0x5a, 0xff} {
			bad := t.TempDir()
			content := append([]byte(nil), whole...)
			for i := range pageBytes {
				content[page*pageBytes+i] = with
			}
			if err := os.WriteFile(filepath.Join(bad, FileName), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := useAll(bad); err != nil {
				failed++
			}
		}
	}
	if failed == 0 {
		t.Error("no damage was ever noticed")
	}
}

// usedBytes is how much of the file of a closed store is in use; the rest is room to grow.
func usedBytes(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(folder, FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error { bytes = tx.Size(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func useAll(folder string) error {
	d, err := open(folder, time.Millisecond)
	if err != nil {
		return err
	}
	defer d.Close()
	var errs []error
	for id := range uint64(killUsers) {
		_, user := d.User(id)
		_, guilds := d.GuildsOf(id)
		_, guild := d.Guild(id)
		_, token := d.TokenUser(killToken(int(id)))
		members := d.GuildMembers(id, func(store.MemberRecord) error { return nil })
		errs = append(errs, user, guilds, guild, token, members)
	}
	errs = append(errs, d.EachGuild(func(uint64) error { return nil }), d.Apply(killBatch(30)))
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
