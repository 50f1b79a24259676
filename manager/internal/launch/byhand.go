package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// handSocket is where the hand of ByHand connects, in Spec.Dir.
const handSocket = "attach.sock"

// maxHanded is how many descriptors the kernel lets one message carry.
const maxHanded = 253

// handPoll is how often is looked whether a process that was started by hand has made
// its socket.
const handPoll = 20 * time.Millisecond

// ByHand has somebody else start the plugin, for example under a debugger: whoever
// connects to the socket that waiting is told of, as our user, is handed what the
// plugin inherits (TakeHand), and the process that then makes the plugin's socket in
// spec.Dir is the one. What it prints is not read, it has a terminal of its own; its
// exit status stays unknown. It blocks until the control plane can be dialled, the end
// of ctx, or that of the hand, which holds its connection as long as the process runs.
// With an error nothing is left but what the hand has started.
func ByHand(ctx context.Context, spec Spec, waiting func(socket string)) (_ *Process, err error) {
	defer func() {
		if err != nil {
			err = &Error{Path: spec.Path, Err: errors.Join(err, removeSockets(spec.Dir))}
		}
	}()
	if err := spec.check(); err != nil {
		return nil, err
	}
	if spec.Execution.uid() != os.Getuid() {
		return nil, fmt.Errorf("the service runs as uid %d, whose processes cannot be started by hand; leave out run_as", spec.Execution.uid())
	}
	out, err := newOutput(&spec) // for a successor, who expects it
	if err != nil {
		return nil, err
	}
	out.close()
	defer func() {
		out.stdout.closeWrite()
		out.stderr.closeWrite()
		if err != nil {
			out.remove()
		}
	}()
	hand, err := awaitHand(ctx, filepath.Join(spec.Dir, handSocket), waiting)
	if err != nil {
		return nil, err
	}
	defer hand.Close()
	if err := give(hand, &spec); err != nil {
		return nil, err
	}
	running, err := appear(ctx, hand, &spec)
	if err != nil {
		return nil, err
	}
	p, err := Attach(running)
	if err == nil && spec.Forked != nil {
		spec.Forked(p)
	}
	return p, err
}

// awaitHand returns the first connection of our own user.
func awaitHand(ctx context.Context, path string, waiting func(string)) (*net.UnixConn, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for who starts the process: %w", err)
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	waiting(path)
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil, fmt.Errorf("nobody came to start the process: %w", context.Cause(ctx))
		}
		if err != nil {
			return nil, fmt.Errorf("wait for who starts the process: %w", err)
		}
		if cred, err := peerOf(conn); err == nil && int(cred.Uid) == os.Getuid() {
			return conn, nil
		}
		conn.Close()
	}
}

// handed is what goes with the descriptors.
type handed struct {
	Env []string `json:"env"`
}

// give hands over what the plugin inherits.
func give(hand *net.UnixConn, spec *Spec) error {
	if len(spec.Files) > maxHanded {
		return fmt.Errorf("%d descriptors cannot be handed over, at most %d", len(spec.Files), maxHanded)
	}
	text, err := json.Marshal(handed{Env: spec.byHandEnv()})
	if err != nil {
		return err
	}
	fds := make([]int, len(spec.Files))
	for i, f := range spec.Files {
		fds[i] = f.FD
	}
	n, _, err := hand.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	if err == nil && n < len(text) {
		_, err = hand.Write(text[n:])
	}
	if err == nil {
		err = hand.CloseWrite()
	}
	if err != nil {
		return fmt.Errorf("hand over to who starts the process: %w", err)
	}
	return nil
}

// byHandEnv is what a plugin needs besides the environment that its starter gives it.
func (s *Spec) byHandEnv() []string {
	return append(append([]string(nil), s.Env...), append([]string{
		shared.CookieKey + "=" + shared.CookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=" + strconv.Itoa(shared.ProtocolVersion),
	}, s.inherits()...)...)
}

// appear waits until a process serves a plugin's socket in the directory of spec.
func appear(ctx context.Context, hand *net.UnixConn, spec *Spec) (Running, error) {
	left := make(chan struct{})
	go func() { // ends with the hand's connection, which the caller closes
		defer close(left)
		_, _ = io.Copy(io.Discard, hand)
	}()
	poll := time.NewTicker(handPoll)
	defer poll.Stop()
	for {
		if r, ok, err := served(spec); ok || err != nil {
			return r, err
		}
		select {
		case <-poll.C:
		case <-left:
			return Running{}, fmt.Errorf("%w before the plugin was up", ErrExited)
		case <-ctx.Done():
			return Running{}, fmt.Errorf("the process that was started by hand did not come up: %w", context.Cause(ctx))
		}
	}
}

// served finds the process that serves the plugin's socket, once there is one.
func served(spec *Spec) (Running, bool, error) {
	names, err := filepath.Glob(filepath.Join(spec.Dir, "plugin*"))
	if err != nil || len(names) == 0 {
		return Running{}, false, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: names[0], Net: "unix"})
	if err != nil {
		return Running{}, false, nil // bound, and about to listen
	}
	defer conn.Close()
	cred, err := peerOf(conn)
	if err != nil {
		return Running{}, false, err
	}
	group, err := unix.Getpgid(int(cred.Pid))
	if err != nil {
		return Running{}, false, nil // gone; the hand tells
	}
	start, err := startTime(group)
	if err != nil {
		return Running{}, false, fmt.Errorf("pid %d serves the plugin's socket, and its process group has no leader: start it as a job of its own", cred.Pid)
	}
	return Running{Path: spec.Path, Dir: spec.Dir, Socket: names[0], PID: group, StartTime: start, StartedAt: time.Now()}, true, nil
}

// TakeHand connects to the socket of a ByHand, and returns the environment and the
// descriptors that the plugin is to have, from 3 on, close-on-exec and the caller's to
// close. conn is to be held until the process that the caller starts has ended; its end
// from the other side says that the process is up, or not wanted any more.
func TakeHand(ctx context.Context, socket string) (env []string, fds []int, conn net.Conn, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("take over the start of the process: %w", err)
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	env, fds, err = take(c.(*net.UnixConn))
	if err != nil {
		c.Close()
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, nil, nil, fmt.Errorf("take over the start of the process: %w", err)
	}
	return env, fds, c, nil
}

func take(c *net.UnixConn) (env []string, fds []int, err error) {
	oob, text := make([]byte, unix.CmsgSpace(4*maxHanded)), make([]byte, 64<<10)
	n, oobn, _, _, err := c.ReadMsgUnix(text, oob)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, nil, err
	}
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, fds, err
		}
		fds = append(fds, got...)
	}
	rest, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if err != nil {
		return nil, fds, err
	}
	var h handed
	if err := json.Unmarshal(append(text[:n:n], rest...), &h); err != nil {
		return nil, fds, fmt.Errorf("what the server said makes no sense: %w", err)
	}
	return h.Env, fds, nil
}
