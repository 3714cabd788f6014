// Package disk is the store.Directory that survives the process: one bbolt file in a folder.
//
// It keeps a B+ tree per kind of record: users, tokens by hash, guild documents, members by
// (guild, user), and two indexes that point back from a user, to guilds and to tokens. Apply writes
// a batch and its index entries in one transaction and returns after the flush of the disk, so what
// it acknowledged survives a kill, and a batch is there whole or not at all. The flush is nearly
// the whole cost of a small batch, so whoever writes gathers ops; nothing gathers in here.
//
// It never returns a record that fails its checksum, and a damaged file is an error and not a
// panic. It is safe for any goroutine, but every call may wait for the disk.
//
// Start reading at Open, then batch.go for writing and record.go for what the bytes mean.
package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"throng/store"
)

// FileName is the name of the file in the folder.
const FileName = "throng.db"

const (
	// lockWait is how long Open waits for another process to let go of the file: enough for one
	// that is just ending, short enough that a mistake is seen at once.
	lockWait = time.Second

	// mapBytes is how much address space is mapped from the start. Enlarging the map waits for
	// every reader, and holds up the readers behind it, so it should not happen in small steps
	// while a node loads its guilds. It is address space only; neither memory nor disk.
	mapBytes = 1 << 30

	// readChunkCount is how many members are decoded before they are handed to the caller.
	readChunkCount = 256
)

// directory is the store.Directory over one open file.
type directory struct {
	// Static after construction.
	db   *bbolt.DB
	path string

	// Atomic: set by a write that found the file damaged, read by all. bbolt may be left holding
	// its locks then, so nothing calls it any more.
	damage atomic.Pointer[error]
}

// Open opens the directory kept in the folder, making both when they are not there. Its errors are
// sentences that name the path.
func Open(folder string) (store.Replica, error) {
	return open(folder, lockWait)
}

func open(folder string, wait time.Duration) (store.Replica, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be made: %w", folder, cause(err))
	}
	d := &directory{path: filepath.Join(folder, FileName)}
	if err := d.open(folder, wait); err != nil {
		if d.db != nil {
			_ = d.Close()
		}
		return nil, err
	}
	return d, nil
}

func (d *directory) open(folder string, wait time.Duration) error {
	err := d.guard(func() (err error) {
		// The flush of data and of the free list are left on: without the latter Open would have
		// to read the whole file after a kill. The hash form of the free list is the one that
		// does not slow down when a huge guild's pages have become free.
		d.db, err = bbolt.Open(d.path, 0o600, &bbolt.Options{
			Timeout:         wait,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: mapBytes,
		})
		return err
	})
	switch {
	case err == nil:
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("the store %s is in use by another process (waited %v for its lock)",
			d.path, wait)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("the file %s is no store, or is damaged: %w", d.path, err)
	case errors.Is(err, store.ErrCorrupt):
		return err
	default:
		return fmt.Errorf("the store %s cannot be opened: %w", d.path, cause(err))
	}
	if err := d.checkSize(); err != nil {
		return err
	}
	if err := d.write(prepare); errors.Is(err, store.ErrCorrupt) {
		return err
	} else if err != nil {
		return fmt.Errorf("the store %s cannot be prepared: %w", d.path, err)
	}
	// The file's name must be as durable as its contents are.
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("the data folder %s cannot be flushed: %w", folder, cause(err))
	}
	return nil
}

// checkSize refuses a file that was cut short, which bbolt notices only when it reads there.
func (d *directory) checkSize() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("the store %s cannot be opened: %w", d.path, cause(err))
	}
	return d.read(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("the store %s was cut short: it has %d bytes of %d",
				d.path, info.Size(), tx.Size())
		}
		return nil
	})
}

// prepare makes the buckets of a new file and checks the format of an old one.
func prepare(tx *bbolt.Tx) error {
	if meta := tx.Bucket(bucketMeta); meta != nil {
		if format := meta.Get(keyFormat); !bytes.Equal(format, formatNow) {
			return fmt.Errorf("its format is %v and this version reads %v only", format, formatNow)
		}
		for _, name := range buckets[:partsOfReplica] {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("its part %q is missing", name)
			}
		}
		for _, name := range buckets[partsOfReplica:] {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return errors.New("it belongs to another program")
	}
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyFormat, formatNow)
}

func (d *directory) User(id uint64) (user *store.User, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		key := idKey(id)
		value := tx.Bucket(bucketUsers).Get(key)
		if value == nil {
			return nil
		}
		if user, err = decodeUser(key, value); err != nil {
			return fmt.Errorf("read user %d: %w", id, err)
		}
		return nil
	})
	return user, err
}

func (d *directory) TokenUser(token string) (user uint64, err error) {
	hash := store.TokenHash(token)
	err = d.read(func(tx *bbolt.Tx) error {
		value := tx.Bucket(bucketTokens).Get(hash[:])
		if value == nil {
			return nil
		}
		if user, err = decodeID(hash[:], value); err != nil {
			return fmt.Errorf("read token: %w", err)
		}
		return nil
	})
	return user, err
}

func (d *directory) GuildsOf(user uint64) (guilds []uint64, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		prefix := idKey(user)
		cursor := tx.Bucket(bucketUserGuilds).Cursor()
		for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
			if len(key) != pairBytes {
				return fmt.Errorf("read the guilds of user %d: %w", user, store.ErrCorrupt)
			}
			guilds = append(guilds, binary.BigEndian.Uint64(key[idBytes:]))
		}
		return nil
	})
	return guilds, err
}

func (d *directory) Guild(id uint64) (doc []byte, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		key := idKey(id)
		value := tx.Bucket(bucketGuilds).Get(key)
		if value == nil {
			return nil
		}
		body, err := unseal(key, value)
		if err != nil {
			return fmt.Errorf("read guild %d: %w", id, err)
		}
		doc = bytes.Clone(body)
		return nil
	})
	return doc, err
}

func (d *directory) ChannelGuild(channel uint64) (guild uint64, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		key := idKey(channel)
		value := tx.Bucket(bucketChannels).Get(key)
		if value == nil {
			return nil
		}
		if guild, err = decodeID(key, value); err != nil {
			return fmt.Errorf("read channel %d: %w", channel, err)
		}
		return nil
	})
	return guild, err
}

func (d *directory) EachGuild(f func(id uint64) error) error {
	var ids []uint64
	err := d.read(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketGuilds).ForEach(func(key, _ []byte) error {
			if len(key) != idBytes {
				return fmt.Errorf("read the guilds: %w", store.ErrCorrupt)
			}
			ids = append(ids, binary.BigEndian.Uint64(key))
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := f(id); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) Close() error {
	if d.damage.Load() != nil {
		// bbolt may wait for itself; the end of the process lets go of the file.
		return nil
	}
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close the store %s: %w", d.path, err)
	}
	return nil
}

// begin starts a read transaction.
func (d *directory) begin() (*bbolt.Tx, error) {
	if damage := d.damage.Load(); damage != nil {
		return nil, *damage
	}
	tx, err := d.db.Begin(false)
	return tx, known(err)
}

// read runs f in a read transaction.
func (d *directory) read(f func(tx *bbolt.Tx) error) error {
	if damage := d.damage.Load(); damage != nil {
		return *damage
	}
	return known(d.guard(func() error { return d.db.View(f) }))
}

// write runs f in a transaction and makes it durable.
func (d *directory) write(f func(tx *bbolt.Tx) error) error {
	if damage := d.damage.Load(); damage != nil {
		return *damage
	}
	var returned bool
	err := d.guard(func() error {
		err := d.db.Update(f)
		returned = true
		return err
	})
	if !returned {
		d.damage.Store(&err)
	}
	return known(err)
}

// guard turns a panic into an error: bbolt trusts its pages and panics, or reads past the end of
// the file through its map, when they are not what it wrote.
func (d *directory) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if _, is := fault.(interface{ Addr() uintptr }); is {
			fault = "a page cannot be read: the file was cut short, or the disk fails"
		}
		err = fmt.Errorf("the store %s is damaged: %w (%v)", d.path, store.ErrCorrupt, fault)
	}()
	return f()
}

// known gives bbolt's error for a closed file the name that the interface promises.
func known(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}

// cause strips the operation and the path from an error of the file system, which the sentence
// around it has already said.
func cause(err error) error {
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
