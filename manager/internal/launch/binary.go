package launch

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/executable"
)

// execFunc forks a child that executes path and has files as 0, 1, 2 and so on, of which
// the first inherit stay open.
type execFunc func(path string, files []uintptr, inherit int) error

// withBinary calls exec with a path to the file that spec names. The path ends in
// the plugin's file name, which is what ps shows. In the child it leads through a
// descriptor: one of ours that fds, which move there before the exec, do not overwrite,
// or, where something is executed in between, the last of files. A script is opened
// again by its interpreter: see withScript.
func withBinary(spec *Spec, fds []uintptr, exec execFunc) error {
	file := spec.Binary
	if file == nil {
		f, err := os.Open(spec.Path)
		if err != nil {
			return explainOpen(spec.Path, err)
		}
		defer f.Close()
		file = f
	}
	info, err := file.Stat()
	if err == nil {
		err = executable.Check(spec.Path, info)
	}
	if err != nil {
		return err
	}
	if isScript(file) {
		return explainExec(spec, file, withScript(spec, file, info, fds, exec))
	}
	fd, err := dupAbove(file, fds)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	files, number := fds, fd
	if spec.Execution.needsHelper() {
		files, number = append(slices.Clone(fds), uintptr(fd)), len(fds)
	}
	link := filepath.Join(spec.Dir, filepath.Base(spec.Path))
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", number), link); err != nil {
		return err
	}
	defer os.Remove(link)
	return explainExec(spec, file, exec(link, files, len(fds)))
}

// withScript calls exec with the path of the script as long as that leads to file, so
// that the script knows where it is. When another file is there now, the interpreter is
// given a descriptor, which it inherits.
func withScript(spec *Spec, file *os.File, info fs.FileInfo, fds []uintptr, exec execFunc) error {
	if there, err := os.Stat(spec.Path); err == nil && os.SameFile(there, info) {
		return exec(spec.Path, fds, len(fds))
	}
	fd, err := dupAbove(file, fds)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	files := append(slices.Clone(fds), uintptr(fd))
	return exec(fmt.Sprintf("/proc/self/fd/%d", len(fds)), files, len(files))
}

// dupAbove duplicates file to a number that syscall.ForkExec leaves alone: it moves
// fds to 0, 1, 2 …, those that are in the way first to numbers above all of them.
func dupAbove(file *os.File, fds []uintptr) (int, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	free := len(fds)
	for _, fd := range fds {
		free = max(free, int(fd))
	}
	free += len(fds) + 16
	dup := -1
	cerr := conn.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, free) })
	return dup, errors.Join(cerr, err)
}

func isScript(file *os.File) bool {
	var head [2]byte
	_, err := file.ReadAt(head[:], 0)
	return err == nil && string(head[:]) == "#!"
}

func explainOpen(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no such file; build it or name another directory: %w", err)
	case errors.Is(err, fs.ErrPermission):
		if info, serr := os.Stat(path); serr == nil {
			return fmt.Errorf("it cannot be read (%s) by uid %d: %w", executable.Access(info), os.Geteuid(), err)
		}
	}
	return err
}

// explainExec adds to the error of an exec what the kernel does not tell.
func explainExec(spec *Spec, file *os.File, err error) error {
	path := spec.Path
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%s is %s, this machine is %s/%s; build it for this machine: %w",
			path, describeFormat(file), runtime.GOOS, runtime.GOARCH, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the interpreter or dynamic loader that %s names does not exist: %w", path, err)
	case errors.Is(err, unix.EACCES):
		mode := "unknown mode"
		if info, serr := file.Stat(); serr == nil {
			mode = executable.Access(info)
		}
		return fmt.Errorf("uid %d may not execute %s (%s), or it is on a file system mounted noexec: %w", spec.Execution.uid(), path, mode, err)
	case errors.Is(err, unix.ETXTBSY):
		return fmt.Errorf("%s is still open for writing; wait until it is copied: %w", path, err)
	}
	return fmt.Errorf("execute %s: %w", path, err)
}

func describeFormat(file *os.File) string {
	f, err := elf.NewFile(io.NewSectionReader(file, 0, 1<<40))
	if err != nil {
		return "neither an ELF executable nor a script that begins with #!"
	}
	return fmt.Sprintf("an ELF file of type %v for %v", f.Type, f.Machine)
}
