package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MaxDir is how long Spec.Dir can be, in bytes: a socket's path has at most 107, of
// which the plugin's side of go-plugin adds "/plugin" and up to ten digits.
const MaxDir = maxSocketPath - len("/plugin4294967295")

const maxSocketPath = 107

const defaultStartTimeout = 10 * time.Second

// File is a descriptor that the plugin inherits, and its name in LISTEN_FDNAMES.
type File struct {
	Name string
	FD   int
}

// Spec says what to launch. It can be used again: nothing in it is consumed.
type Spec struct {
	// Path is the plugin's file, argv[0] and what errors name.
	Path string
	// Binary is the opened, checksummed file behind Path, which is what is executed
	// even when Path names another by now (a script is executed by its Path, since
	// its interpreter opens it again). Nil executes Path. It stays the caller's.
	Binary *os.File
	// Dir is a directory of this process alone, mode 0700, at most MaxDir bytes. The
	// plugin's socket and the FIFOs of its output are made in it, Close removes
	// them; the directory itself is the caller's.
	Dir string
	// Files are inherited from descriptor 3 on. They stay the caller's, who must
	// keep them open until Start returns, and keep the flags of their descriptions:
	// a non-blocking socket is inherited as one.
	Files []File
	// Env is added to the allow-list of Environ, and wins over it.
	Env []string
	// Execution says as whom the plugin runs. Dir must be that user's.
	Execution Execution
	// Forked is called by Start as soon as there is a process: what needs no control
	// plane can be asked of it. Start may still fail. It must not block; may be nil.
	Forked func(*Process)
	// StartTimeout bounds Start; 0 is 10 s.
	StartTimeout time.Duration
	// Stdout and Stderr are given what the plugin prints (Stdout: after the line of
	// the handshake), each in a goroutine that the Process owns. They must return
	// when Read fails, as it does soon after the exit. What they leave unread is
	// discarded; nil discards everything. A plugin that prints through go-plugin's
	// stdio service has them called a second time, concurrently, for that.
	Stdout, Stderr func(io.Reader)
}

func (s *Spec) check() error {
	switch {
	case s.Path == "":
		return errors.New("no path was given")
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("directory %q is not absolute", s.Dir)
	case len(s.Dir) > MaxDir:
		return fmt.Errorf("directory %s has %d bytes, at most %d leave room for the socket's name; choose a shorter --runtime-dir",
			s.Dir, len(s.Dir), MaxDir)
	}
	if err := s.Execution.check(); err != nil {
		return err
	}
	for i, f := range s.Files {
		if f.Name == "" || strings.ContainsAny(f.Name, ":\x00") {
			return fmt.Errorf("file %d: %q cannot be a name in LISTEN_FDNAMES", i, f.Name)
		}
		if _, err := unix.FcntlInt(uintptr(f.FD), unix.F_GETFD, 0); err != nil {
			return fmt.Errorf("file %s: descriptor %d: %w", f.Name, f.FD, err)
		}
	}
	return nil
}

func (s *Spec) startTimeout() time.Duration {
	if s.StartTimeout > 0 {
		return s.StartTimeout
	}
	return defaultStartTimeout
}
