package launch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// readerGrace is how long readers may go on after the exit, when a grandchild holds
// the output open.
const readerGrace = 200 * time.Millisecond

// fifo is a stream that the plugin writes and we read. The plugin holds it open for
// reading and writing, so that it never dies of SIGPIPE: who reads may change.
type fifo struct {
	path  string
	write int      // the plugin's end, -1 once it has it
	read  *os.File // ours, non-blocking
}

func newFIFO(path string, owner *Execution) (_ *fifo, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make fifo %s: %w", path, err)
	}
	f := &fifo{path: path}
	if err := unix.Lchown(path, owner.uid(), owner.gid()); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("give fifo %s to uid %d: %w", path, owner.uid(), err)
	}
	// Opened before the reading end, which would see the end of file without it.
	if f.write, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("open fifo %s: %w", path, err)
	}
	if err := f.open(); err != nil {
		f.closeWrite()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

// openFIFO opens one that a plugin has.
func openFIFO(path string) (*fifo, error) {
	f := &fifo{path: path, write: -1}
	return f, f.open()
}

func (f *fifo) open() error {
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open fifo %s: %w", f.path, err)
	}
	// The directory may belong to the plugin's user, who could put anything there.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return errors.Join(fmt.Errorf("open fifo %s: it is none", f.path), err)
	}
	f.read = os.NewFile(uintptr(fd), f.path)
	return nil
}

func (f *fifo) closeWrite() {
	if f.write >= 0 {
		unix.Close(f.write)
		f.write = -1
	}
}

// close ends a Read that waits.
func (f *fifo) close() {
	f.closeWrite()
	f.read.Close()
	os.Remove(f.path)
}

// output reads what a plugin prints.
type output struct {
	spec           *Spec
	stdout, stderr *fifo
	tail           tail // of stderr, until the plugin is up
	lines          *io.PipeReader
	linesIn        *io.PipeWriter // the handshake, for go-plugin; closed at exit
	printedOut     printed
	printedErr     printed
	readers        sync.WaitGroup
	ended          chan struct{} // closed when finish was called and no reader is left
	verdict        chan error    // one value: whether the first line is a handshake; io.EOF without a line
}

func newOutput(spec *Spec) (*output, error) {
	stdout, err := newFIFO(filepath.Join(spec.Dir, "stdout"), &spec.Execution)
	if err != nil {
		return nil, err
	}
	stderr, err := newFIFO(filepath.Join(spec.Dir, "stderr"), &spec.Execution)
	if err != nil {
		stdout.close()
		return nil, err
	}
	return makeOutput(spec, stdout, stderr), nil
}

// openOutput reads what a plugin that runs prints.
func openOutput(spec *Spec) (*output, error) {
	stdout, err := openFIFO(filepath.Join(spec.Dir, "stdout"))
	if err != nil {
		return nil, err
	}
	stderr, err := openFIFO(filepath.Join(spec.Dir, "stderr"))
	if err != nil {
		stdout.read.Close()
		return nil, err
	}
	return makeOutput(spec, stdout, stderr), nil
}

func makeOutput(spec *Spec, stdout, stderr *fifo) *output {
	o := &output{spec: spec, stdout: stdout, stderr: stderr, verdict: make(chan error, 1), ended: make(chan struct{})}
	o.lines, o.linesIn = io.Pipe()
	o.printedOut.out, o.printedErr.out = spec.Stdout, spec.Stderr
	return o
}

// run starts to read. The plugin has its ends.
func (o *output) run() {
	o.stdout.closeWrite()
	o.stderr.closeWrite()
	o.readers.Go(o.readStdout)
	o.readers.Go(o.readStderr)
}

func (o *output) readStdout() {
	r := bufio.NewReaderSize(o.stdout.read, maxHandshake)
	line, err := firstLine(r)
	if err == nil {
		err = checkHandshake(line, o.spec.Dir)
	}
	o.verdict <- err
	if err == nil {
		io.WriteString(o.linesIn, strings.TrimSpace(line)+"\n")
	} else {
		o.linesIn.Close()
	}
	consume(r, o.spec.Stdout)
}

func (o *output) readStderr() {
	consume(io.TeeReader(o.stderr.read, &o.tail), o.spec.Stderr)
}

func consume(r io.Reader, f func(io.Reader)) {
	if f != nil {
		f(r)
	}
	io.Copy(io.Discard, r)
}

// firstLine returns the first line, or as much of it as a handshake can have; io.EOF
// when there is none.
func firstLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil && len(line) == 0 {
		return "", io.EOF
	}
	return string(line), nil
}

// finish is called once, after the exit, and returns when everything that can come
// has been read, or two readerGrace later: a grandchild may hold the output open, and
// a callback may be stuck in its log.
func (o *output) finish() {
	go func() { // remove waits for it
		o.readers.Wait()
		o.printedOut.wait()
		o.printedErr.wait()
		close(o.ended)
	}()
	o.printedOut.close()
	o.printedErr.close()
	o.await(readerGrace)
	o.close()
	o.await(readerGrace)
}

// await reports whether all readers are gone within d.
func (o *output) await(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-o.ended:
		return true
	case <-timer.C:
		return false
	}
}

// close is idempotent and safe for concurrent use.
func (o *output) close() {
	o.stdout.read.Close()
	o.stderr.read.Close()
	o.linesIn.Close()
}

// remove takes back everything that newOutput made.
func (o *output) remove() {
	o.stdout.close()
	o.stderr.close()
}
