package catalog

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
	"strings"

	"github.com/antano/antano/manager/internal/executable"
	"github.com/antano/antano/shared"
)

// ErrNotFound: no directory has a plugin of the type that can be executed.
var ErrNotFound = errors.New("no such plugin")

// Plugin is a file whose name says that it is a service plugin.
type Plugin struct {
	Type string // the service type
	Path string // absolute
	// Problem says why it cannot be used; nil when nothing is wrong at first sight.
	Problem error
}

// DefaultDirs are the directories without --plugin-dir: plugins beside the running
// executable, then $ANTANO_PLUGIN_DIR. Source: docs/params.md.
func DefaultDirs() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Join(filepath.Dir(exe), "plugins"))
	}
	if dir := os.Getenv("ANTANO_PLUGIN_DIR"); dir != "" {
		dirs = append(dirs, dir)
	}
	return dirs
}

// Find lists the plugins of all types in dirs, ordered by type. Of several of one type
// the first that can be used counts, else the first. A directory that does not exist
// has none; one that cannot be read is an error, beside what the others have.
func Find(dirs []string) ([]Plugin, error) {
	byType := make(map[string]Plugin)
	var failed error
	for _, dir := range dirs {
		found, err := findIn(dir)
		failed = errors.Join(failed, err)
		for _, p := range found {
			if known, ok := byType[p.Type]; !ok || known.Problem != nil && p.Problem == nil {
				byType[p.Type] = p
			}
		}
	}
	out := make([]Plugin, 0, len(byType))
	for _, p := range byType {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Plugin) int { return strings.Compare(a.Type, b.Type) })
	return out, failed
}

func findIn(dir string) ([]Plugin, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("plugin directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read plugin directory: %w", err)
	}
	var out []Plugin
	for _, entry := range entries {
		if typ, ok := strings.CutPrefix(entry.Name(), shared.PluginPrefix); ok && typ != "" {
			path := filepath.Join(dir, entry.Name())
			out = append(out, Plugin{Type: typ, Path: path, Problem: check(path)})
		}
	}
	return out, nil
}

// Lookup returns the plugin of a type: the first in dirs that can be used. The error
// is ErrNotFound with the directories that were searched and what is wrong with the
// candidates in them.
func Lookup(dirs []string, serviceType string) (Plugin, error) {
	name := shared.PluginPrefix + serviceType
	if serviceType == "" || name != filepath.Base(name) {
		return Plugin{}, fmt.Errorf("%w: %q cannot be a service type", ErrNotFound, serviceType)
	}
	var problems []string
	for _, dir := range dirs {
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		path := filepath.Join(dir, name)
		err := check(path)
		if err == nil {
			return Plugin{Type: serviceType, Path: path}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err.Error())
		} else if _, serr := os.Stat(dir); serr != nil {
			problems = append(problems, fmt.Sprintf("%s cannot be searched (%v)", dir, reason(serr)))
		}
	}
	return Plugin{}, notFound(name, dirs, problems)
}

func notFound(name string, dirs, problems []string) error {
	if len(dirs) == 0 {
		return fmt.Errorf("%w: %s: there is no plugin directory; name one with --plugin-dir", ErrNotFound, name)
	}
	text := fmt.Sprintf("%s is not in %s", name, strings.Join(dirs, ", "))
	if len(problems) > 0 {
		text = fmt.Sprintf("no usable %s in %s: %s", name, strings.Join(dirs, ", "), strings.Join(problems, "; "))
	}
	return fmt.Errorf("%w: %s; put it there or name its directory with --plugin-dir", ErrNotFound, text)
}

// reason is an error without the path that its sentence has already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// check says what would keep the kernel from executing path.
func check(path string) error {
	info, err := os.Stat(path)
	if err == nil {
		err = executable.Check(path, info)
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s cannot be read (%s)", path, executable.Access(info))
	}
	defer f.Close()
	if err := checkFormat(path, f); err != nil {
		return err
	}
	return trusted(path, os.Geteuid())
}

// machines are what this build's kernel runs without help.
var machines = map[string][]elf.Machine{
	"amd64":   {elf.EM_X86_64, elf.EM_386},
	"386":     {elf.EM_386},
	"arm64":   {elf.EM_AARCH64, elf.EM_ARM},
	"arm":     {elf.EM_ARM},
	"riscv64": {elf.EM_RISCV},
	"ppc64le": {elf.EM_PPC64},
	"s390x":   {elf.EM_S390},
	"loong64": {elf.EM_LOONGARCH},
}

// checkFormat refuses ELF files of other machines. A script, and what
// binfmt_misc might know, is left to the kernel.
func checkFormat(path string, file io.ReaderAt) error {
	f, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	ours, known := machines[runtime.GOARCH]
	if known && !slices.Contains(ours, f.Machine) {
		return fmt.Errorf("%s is for another machine (%v, this is linux/%s)", path, f.Machine, runtime.GOARCH)
	}
	return nil
}
