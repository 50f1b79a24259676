package listener

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/antano/antano/shared"
	"golang.org/x/sys/unix"
)

// MaxPath is the longest path of a Unix socket in bytes.
const MaxPath = 107

var unixTypes = map[string]int{
	shared.SocketDgram:     unix.SOCK_DGRAM,
	shared.SocketStream:    unix.SOCK_STREAM,
	shared.SocketSeqpacket: unix.SOCK_SEQPACKET,
}

// BindUnixSocket opens the one socket of a service on a path, with the permission
// bits mode from the first moment it can be reached. file must be absolute and at
// most MaxPath bytes. A dead socket there is replaced; a live one, or anything else
// at the path, is an error. backlog 0 is DefaultBacklog and means nothing to dgram.
// Two managers that start on one path within the same instant are not told apart.
// Source: the seed's bind_unix_socket.
func BindUnixSocket(file string, mode uint32, socketType string, backlog int) (*Group, error) {
	return bindUnix(linux{}, file, mode, socketType, backlog)
}

func bindUnix(k kernel, file string, mode uint32, socketType string, backlog int) (g *Group, err error) {
	typ, ok := unixTypes[socketType]
	switch {
	case !ok:
		return nil, fmt.Errorf("socket_type %q is unknown; use dgram, stream or seqpacket", socketType)
	case !filepath.IsAbs(file) || strings.IndexByte(file, 0) >= 0:
		return nil, fmt.Errorf("unix socket path %q is not an absolute path; change endpoint", file)
	case len(file) > MaxPath:
		return nil, fmt.Errorf("unix socket path %s has %d bytes; shorten endpoint to at most %d", file, len(file), MaxPath)
	case mode&^0o777 != 0:
		return nil, fmt.Errorf("mode %#o of unix socket %s is not a set of permission bits; use 0 to 0777", mode, file)
	}
	if err := clearDead(k, file, typ); err != nil {
		return nil, err
	}
	g = &Group{k: k, address: file}
	step, err := g.listenUnix(file, mode, typ, backlog)
	if err != nil {
		g.Close()
		return nil, explainUnix(file, step, err)
	}
	return g, nil
}

func (g *Group) listenUnix(file string, mode uint32, typ, backlog int) (step string, err error) {
	fd, err := g.k.socket(unix.AF_UNIX, typ, 0)
	if err != nil {
		return "open", err
	}
	g.add("unix", fd)
	// The file is created with the mode of the socket's own inode less the umask, so
	// it is never wider than asked; what the umask took is given back afterwards.
	if err := g.k.fchmod(fd, mode); err != nil {
		return "set the mode of", err
	}
	if err := g.k.bind(fd, &unix.SockaddrUnix{Name: file}); err != nil {
		return "bind", err
	}
	var st unix.Stat_t
	if err := g.k.lstat(file, &st); err != nil {
		_ = unix.Unlink(file) // bound a moment ago, so it is ours
		return "look at", err
	}
	g.file = &boundFile{path: file, dev: uint64(st.Dev), ino: st.Ino}
	if st.Mode&0o777 != mode {
		if err := g.k.chmod(file, mode); err != nil {
			return "set the mode of", err
		}
	}
	if typ == unix.SOCK_DGRAM {
		return "", nil
	}
	if backlog <= 0 {
		backlog = DefaultBacklog
	}
	return "listen on", g.k.listen(fd, backlog)
}

// clearDead makes room at file: it removes a socket that nobody has bound any more.
func clearDead(k kernel, file string, typ int) error {
	var st unix.Stat_t
	err := k.lstat(file, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explainUnix(file, "look at", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fmt.Errorf("unix socket path %s is taken by a file that is not a socket; remove it or change endpoint", file)
	}
	switch err := probe(k, file, typ); {
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINPROGRESS),
		errors.Is(err, unix.EPROTOTYPE), errors.Is(err, unix.EPERM):
		// EPROTOTYPE: bound with another type. EPERM: dgram, connected elsewhere.
		return fmt.Errorf("unix socket path %s is in use by another process; stop it or change endpoint: %w", file, unix.EADDRINUSE)
	case errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("cannot tell whether unix socket %s is in use; remove it or change endpoint: %w", file, err)
	}
	dead := boundFile{path: file, dev: uint64(st.Dev), ino: st.Ino}
	if err := dead.remove(); err != nil {
		return fmt.Errorf("cannot remove the dead unix socket %s; remove it or change endpoint: %w", file, err)
	}
	return nil
}

// probe connects to file and returns how that went.
func probe(k kernel, file string, typ int) error {
	fd, err := k.socket(unix.AF_UNIX, typ, 0)
	if err != nil {
		return err
	}
	defer k.close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: file})
}

func explainUnix(file, step string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("unix socket path %s is in use by another process; stop it or change endpoint: %w", file, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("directory %s of unix socket %s does not exist; create it or change endpoint: %w", filepath.Dir(file), filepath.Base(file), err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EROFS):
		return fmt.Errorf("directory %s of unix socket %s is not writable by this user; change its mode or endpoint: %w", filepath.Dir(file), filepath.Base(file), err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("unix socket %s needs more descriptors than are allowed; raise the limit (ulimit -n): %w", file, err)
	}
	return fmt.Errorf("cannot %s unix socket %s; change endpoint: %w", step, file, err)
}

// boundFile is a socket's file, known by its inode.
type boundFile struct {
	path string
	dev  uint64
	ino  uint64
}

// remove unlinks the file if the path still leads to that inode.
func (f *boundFile) remove() error {
	var st unix.Stat_t
	if err := unix.Lstat(f.path, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if uint64(st.Dev) != f.dev || st.Ino != f.ino {
		return nil
	}
	return unix.Unlink(f.path)
}
