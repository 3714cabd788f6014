package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"throng/store"
	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

// A node is restarted, for a new version of the program, without any client or backend being
// refused and without a session losing an event: the old process starts the new one, leaves it
// everything, and stays only until its connections have gone to the new one, which is where they
// come to when they connect again, since that has the listeners.
//
// The new process inherits the listeners of all doors, and a socket to the old one. It reads its
// flags, opens all that it can and says that it is prepared. The old one shuts the doors of HTTP,
// where requests under way are answered and new ones wait in the backlog; has the node stand still
// (see stillness); and sends what there is: journals, sessions with what they have not acknowledged
// (store.Outbox), relays (fanout.Board), guilds (fanout.Carry, which is also how a guild goes to
// another node of a cluster), and the directory or, of one on a disk, its lock. When the new
// process says that it has all of it, it is told to serve, and at that moment the sessions are its
// own. The old one tells its clients to reconnect (op 7), at a pace that the new one can take, and
// closes who does not. A client comes back with RESUME to the same address and gets what it has
// missed.
//
// What has no answer by then is to be sent again, and nothing that was answered is lost: a request
// may come on a kept connection just as that is closed, as with any server that closes those, and
// a command that a client sends after the sessions have gone is dropped and followed by op 7.
//
// In all of this time a dial finds a listener: it waits in the backlog while the node stands still,
// 0.08 s with 5,000 sessions and two journals of 64 MB. See bench/restart.
//
// Until the new process is told to serve, the old one has lost nothing: whatever fails, be it a
// flag, the form of what is left, a lock or a time, it kills the new one, opens its directory and
// its doors again and goes on; nobody has noticed more than a pause. Afterwards it never does
// anything for a session again: what its sockets ask for is not heard, and who asks is sent away at
// once. That there are never two who serve needs no agreement, since the old one can make sure that
// its child is dead, and the new one, when its socket ends without a word, that its parent is.
//
// Rejected: to serve the sessions in both processes until each has come by itself, as nodes of a
// cluster do. Nobody would stand still, but each session would go by a protocol of its own with
// each of its guilds, whose failures are many and seldom; here there is one moment, and one way
// back. To hand the clients' sockets over as well, so that nobody has to reconnect: compressors'
// windows (zlib, zstd, TLS) cannot be carried, half of a frame may be on its way in either
// direction, and RESUME is what clients do anyhow when a network hiccups. To execute the new
// program in the place of the old: its process keeps its number, which is all that some supervisors
// know of it, but by the time that it fails there is no old one to go on. To let listeners of both
// processes accept side by side by SO_REUSEPORT: the kernel divides connections among them by hash,
// and those in the old one's backlog are reset when it closes. To write sessions to the disk on
// each event, so that a killed process could be followed: a delivery takes 1 µs of memory now.
//
// For a moment two processes have all of it, so a control group must have room for that; and a
// container that lives as long as its first process is replaced by another, not restarted.
//
// A node that is told to end in the meantime gives the takeover up; when that is too late, and
// before it has said that another process has taken over, it tells that one.
//
// A node of a cluster is not taken over from: others own what it knows (links, holds), and would
// have to be told. It is restarted by SIGTERM, upon which its guilds go to other nodes as they are.

// TakeoverVariable is set in the environment of a process that takes over: to how many descriptors
// it inherits, from descriptor 3 on.
const TakeoverVariable = "THRONG_TAKEOVER"

// takeoverJournalMax: a loop's journal goes in three parts, the largest of which is half of it.
const takeoverJournalMax = tuning.TakeoverPartBytesMax

var errTakeoverJournal = fmt.Errorf("-journal: one of more than %v cannot be handed over; restart "+
	"the node with SIGTERM", tuning.Size(takeoverJournalMax))

var errTakeoverCluster = errors.New("a node of a cluster is restarted with SIGTERM, upon which " +
	"others have its guilds")

// successor is the process that takes over, as the old one knows it.
type successor struct {
	cmd   *exec.Cmd
	pipe  *legacyPipe
	ended chan struct{} // closed when the process has ended
}

// Restart starts the program as it is on the disk now, with these arguments, and has it take over.
func (n *Node) Restart(args []string, out, errs io.Writer) {
	program, err := os.Executable()
	if err == nil {
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = out, errs
		n.log.Info("starting the process that takes over", "program", program)
		err = n.HandOver(cmd)
	}
	if err != nil {
		n.log.Error("nobody has taken over, and this process goes on", "error", err)
	}
}

// HandOver starts cmd, which is to be this program, and leaves everything to it: when HandOver
// returns nil, Run is going to return when all connections have gone. After an error the node goes
// on, and the process does not.
func (n *Node) HandOver(cmd *exec.Cmd) error {
	if n.cfg.many() {
		return errTakeoverCluster
	}
	if n.cfg.Journal > takeoverJournalMax {
		return errTakeoverJournal
	}
	n.leaving.Lock()
	defer n.leaving.Unlock()
	doors := n.doors.Load()
	if n.state.Load() != stateReady || doors == nil {
		return fmt.Errorf("the node is %s", stateNames[n.state.Load()])
	}
	if n.isEndAsked() {
		return errEndAsked
	}
	files, err := n.doorFiles(doors)
	defer closeFiles(files)
	if err != nil {
		return err
	}
	began := time.Now()
	to, err := startSuccessor(cmd, files)
	if err != nil {
		return err
	}
	over := make(chan struct{})
	defer close(over)
	go n.dropOnEnd(to, over)
	if err = n.leaveAll(to, doors, files); err != nil {
		to.kill()
		if n.isEndAsked() && !errors.Is(err, errEndAsked) {
			err = errors.Join(errEndAsked, err)
		}
		return err
	}
	n.heir = to
	// A supervisor that knows this process only would end the other one with it.
	if _, err := daemon.SdNotify(false, fmt.Sprintf("MAINPID=%d", cmd.Process.Pid)); err != nil {
		n.log.Warn("the supervisor was not told of the process that has taken over", "error", err)
	}
	n.log.Info("another process has taken over", "pid", cmd.Process.Pid,
		"after", time.Since(began).Round(time.Millisecond))
	close(n.left)
	return nil
}

// doorFiles are duplicates of all listeners: of -api, of -admin, and of the gateway's.
func (n *Node) doorFiles(d *doors) (files []*os.File, err error) {
	for _, l := range []*capped{d.client, d.admin} {
		f, err := listenerFile(l.Listener)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	gateway, err := n.Listeners()
	return append(files, gateway...), err
}

// listenerFile duplicates a listener. NB: its own method File does so too, but whoever asks that
// file for its descriptor makes the listener itself one that blocks.
func listenerFile(l net.Listener) (*os.File, error) {
	s, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errNoDescriptor
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	failed := raw.Control(func(of uintptr) { fd, err = duplicate(int(of)) })
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// startSuccessor starts the process, which inherits a socket and the files, and waits until it is
// prepared.
func startSuccessor(cmd *exec.Cmd, files []*os.File) (*successor, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(ends[0])
	unix.CloseOnExec(ends[1])
	own, its := os.NewFile(uintptr(ends[0]), "successor"), os.NewFile(uintptr(ends[1]), "takeover")
	defer its.Close()
	conn, err := net.FileConn(own)
	_ = own.Close()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = append([]*os.File{its}, files...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, TakeoverVariable+"="+strconv.Itoa(len(cmd.ExtraFiles)))
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	to := &successor{cmd: cmd, pipe: newLegacyPipe(conn), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(to.ended)
	}()
	return to, nil
}

// kill makes sure that the process has ended.
func (to *successor) kill() {
	_ = to.cmd.Process.Kill()
	<-to.ended
	_ = to.pipe.conn.Close()
}

// leaveAll leaves everything to the process. After an error the node serves as before.
func (n *Node) leaveAll(to *successor, d *doors, files []*os.File) error {
	if err := to.pipe.say(legacyShape, n.legacyShape()); err != nil {
		return fmt.Errorf("the new process has ended: %w", err)
	}
	if _, err := to.pipe.await(legacyPrepared, tuning.TakeoverStartTimeout); err != nil {
		return fmt.Errorf("the new process is not prepared, its log says why: %w", err)
	}
	began := time.Now()
	if err := d.shut(); err != nil {
		return errors.Join(err, d.open(n, files))
	}
	still, err := n.standStill(tuning.TakeoverStillTimeout)
	if err != nil {
		return errors.Join(err, d.open(n, files))
	}
	stood := time.Now()
	if err = n.move(to, still); err != nil {
		to.kill()
		err = errors.Join(err, n.openHeld())
		still.goOn()
		return errors.Join(err, d.open(n, files))
	}
	n.log.Info("everything is left to another process", "requests", stood.Sub(began),
		"moving", time.Since(stood))
	return nil
}

// move sends what there is, and has the process serve. After an error it is to be taken back.
func (n *Node) move(to *successor, still *stillness) error {
	p := to.pipe
	if err := p.conn.SetDeadline(time.Now().Add(tuning.TakeoverMoveTimeout)); err != nil {
		return err
	}
	err := p.send(legacyNode, leaveVoice(nil, n.core.voice, n.core.clock()))
	if err == nil {
		err = still.eachLoop(func(d *driver) error { return d.loop.leave(p) })
	}
	if own, ok := n.dir.Directory.(store.Replica); ok && err == nil && n.cfg.InMemory {
		err = leaveDirectory(p, own)
	} else if err == nil {
		err = n.dir.Close()
	}
	if err == nil {
		err = p.say(legacyDirectory, nil)
	}
	if err == nil {
		err = still.eachShard(func(s *shard) error { return s.leave(p) })
	}
	if err == nil {
		err = p.say(legacyEnd, nil)
	}
	if err == nil {
		_, err = p.await(legacyTaken, tuning.TakeoverMoveTimeout)
	}
	if err != nil {
		return fmt.Errorf("the new process has not taken everything, its log may say why: %w", err)
	}
	// From here on there is no way back: whether it hears this or the end of the socket, it serves.
	if err := n.part(still); err != nil {
		return err
	}
	if err := p.say(legacyServe, nil); err != nil {
		n.log.Warn("the new process was not told that it is to serve", "error", err)
	}
	return nil
}

// openHeld opens the directory that another process has given up, or this one to another. One in
// memory is there.
func (n *Node) openHeld() error {
	if n.cfg.InMemory {
		return nil
	}
	dir, err := n.openOwn()
	if err != nil {
		return err
	}
	n.dir.Directory = dir
	return nil
}

// legacyShape is what both processes must have alike: session ids name a loop, positions in a
// journal say nothing in one of another size, and what a journal has for zstd streams can be read
// only by those that are taught the same.
func (n *Node) legacyShape() []byte {
	dst := pack.AppendUint(nil, legacyFormat)
	dst = pack.AppendUint(dst, uint64(n.cfg.Loops))
	dst = pack.AppendUint(dst, uint64(n.cfg.Journal))
	dst = pack.AppendUint(dst, uint64(n.core.mesh.tag))
	dst = pack.AppendUint(dst, uint64(wire.LessonSum()))
	return pack.AppendFlags(dst, n.cfg.InMemory)
}
