package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"throng/store"
	"throng/tuning"
)

// Import. A node that has kept its data alone may bring it into a cluster that has none: its first
// node does, before anybody is served. Two things must not happen, that two nodes bring in data
// which then is mixed, and that somebody is served by a cluster that has a part of it. So the
// import is claimed in the log first, against all who claim it too; it is begun only if no other
// node has joined by then, and who joins behind the claim is told to wait. A node that dies over it
// comes back and does it again, which changes nothing of what it has done.

// ErrNotEmpty and ErrImporting are for who finds others before it, and ErrNotAlone for who has
// nothing to bring.
var (
	ErrNotEmpty  = errors.New("the cluster has data already, and no other can be brought in")
	ErrImporting = errors.New("a node is bringing its data into the cluster")
	ErrNotAlone  = errors.New("the data is not of a node that was alone, or there is none")
)

const (
	noteImport    = "import"
	importSubject = "i"
)

// importState is who brings data in, or has.
type importState struct {
	Seq  uint64 // Of the message that says so.
	Node string // Empty: nobody does.
	Done bool
}

func encodeImport(node string, done bool) []byte {
	if done {
		return append(append(empty(), 1), node...)
	}
	return append(append(empty(), 0), node...)
}

func decodeImport(body []byte) (s importState, err error) {
	if len(body) == 0 || body[0] > 1 {
		return s, errMessage
	}
	return importState{Node: string(body[1:]), Done: body[0] == 1}, nil
}

// Import has the log hold all that a store holds which was a node's alone. This node must have
// joined. It does nothing when this node has done so before.
func (d *Directory) Import(ctx context.Context, from store.Replica) error {
	if _, err := position(from); !errors.Is(err, ErrAlone) {
		return errors.Join(ErrNotAlone, err)
	}
	done, err := d.claimImport(ctx)
	if done || err != nil {
		return err
	}
	c := importer{ctx: ctx, to: d}
	if err := c.copy(from); err != nil {
		return fmt.Errorf("bring data into the cluster: %w", err)
	}
	return d.writeImport(ctx, d.cfg.Node, true)
}

// HasImported says whether this node has brought its data in.
func (d *Directory) HasImported() bool {
	s := d.importState()
	return s.Node == d.cfg.Node && s.Done
}

// claimImport makes this node the one that brings its data in, or tells that it has.
func (d *Directory) claimImport(ctx context.Context) (done bool, err error) {
	s := d.importState()
	switch {
	case s.Node == d.cfg.Node:
		return s.Done, nil
	case s.Done:
		return false, ErrNotEmpty
	case s.Node != "":
		return false, s.busy()
	}
	if err := d.mayImport(); err != nil {
		return false, err
	}
	if err := d.writeImport(ctx, d.cfg.Node, false); err != nil {
		return false, err
	}
	if err := d.mayImport(); err != nil {
		return false, errors.Join(err, d.writeImport(ctx, "", false))
	}
	return false, nil
}

func (s *importState) busy() error {
	return fmt.Errorf("%w: node %s; if it does not come back, the stream has to be deleted",
		ErrImporting, s.Node)
}

// mayImport refuses where others have been.
func (d *Directory) mayImport() error {
	d.mu.Lock()
	other := ""
	for node, f := range d.fences {
		if node != d.cfg.Node && !f.Sealed {
			other = node
		}
	}
	d.mu.Unlock()
	if other != "" {
		return fmt.Errorf("%w: node %s has joined, and may have been given some", ErrNotEmpty,
			other)
	}
	empty, err := isEmpty(d.Replica)
	if err == nil && !empty {
		err = ErrNotEmpty
	}
	return err
}

func (d *Directory) importState() importState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.imported
}

// writeImport changes who brings data in, unless somebody else has.
func (d *Directory) writeImport(ctx context.Context, node string, done bool) error {
	return d.replace(ctx, importSubject, func() (data []byte, after uint64, err error) {
		s := d.importState()
		switch {
		case s.Node != "" && s.Node != d.cfg.Node:
			return nil, 0, s.busy()
		case s.Seq != 0 && s.Node == node && s.Done == done:
			return nil, 0, nil
		}
		return encodeImport(node, done), s.Seq, nil
	})
}

// importer copies a store, some ops at a time.
type importer struct {
	ctx context.Context
	to  *Directory
	ops []store.Op
}

func (c *importer) add(op store.Op) error {
	if c.ops = append(c.ops, op); len(c.ops) < tuning.ReplicaImportOpsMax {
		return nil
	}
	return c.flush()
}

func (c *importer) flush() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	err := c.to.Apply(c.ops)
	c.ops = nil
	return err
}

func (c *importer) copy(from store.Replica) error {
	err := from.EachUser(func(u *store.User) error {
		return c.add(store.Op{Kind: store.OpPutUser, UserRecord: u})
	})
	if err != nil {
		return err
	}
	err = from.EachToken(func(hash [sha256.Size]byte, user uint64) error {
		return c.add(store.Op{Kind: store.OpPutTokenHash, User: user, Token: string(hash[:])})
	})
	if err != nil {
		return err
	}
	err = from.EachGuild(func(id uint64) error { return c.guild(from, id) })
	if err != nil {
		return err
	}
	return c.flush()
}

func (c *importer) guild(from store.Replica, id uint64) error {
	doc, err := from.Guild(id)
	if err != nil {
		return err
	}
	channels, err := from.GuildChannels(id)
	if err != nil {
		return err
	}
	err = c.add(store.Op{Kind: store.OpPutGuild, Guild: id, Doc: doc, Channels: channels})
	if err != nil {
		return err
	}
	return from.GuildMembers(id, func(m store.MemberRecord) error {
		return c.add(store.Op{Kind: store.OpPutMember, Guild: id, Member: m})
	})
}
