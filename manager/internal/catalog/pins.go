package catalog

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/antano/antano/shared"
)

// PinsFile is the file in a plugin directory that says which plugins may run from there,
// in the form of sha256sum.
const PinsFile = "plugins.lock"

const maxPins = 10_000

// pins are checksums by the name of the file.
type pins map[string]Sum

// Pinned says why a plugin that was opened must not run: its directory pins plugins, and
// this is none of them or has changed. nil where nothing is pinned.
func (b *Binary) Pinned() error {
	dir, name := filepath.Split(b.Path)
	file := filepath.Join(dir, PinsFile)
	all, err := readPins(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	advice := "if that is meant, run 'antano plugin lock --plugin-dir " + filepath.Clean(dir) + "'"
	switch sum, ok := all[name]; {
	case !ok:
		return fmt.Errorf("plugin %s is not in %s; %s", b.Path, file, advice)
	case sum != b.Sum:
		return fmt.Errorf("plugin %s has changed: its sha256 is %s, and %s has %s; %s", b.Path, b.Sum, file, sum, advice)
	}
	return nil
}

func readPins(file string) (pins, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the pinned plugins: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o022 != 0 {
		return nil, errors.Join(err, fmt.Errorf("%s can be written by others: chmod go-w it", file))
	}
	all := pins{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if err := all.add(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w; write it anew with 'antano plugin lock'", file, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return all, nil
}

// add takes a line: a checksum, two spaces and a name.
func (p pins) add(line string) error {
	text, name, ok := strings.Cut(line, "  ")
	sum, err := hex.DecodeString(text)
	switch {
	case !ok || err != nil || len(sum) != len(Sum{}) || !strings.HasPrefix(name, shared.PluginPrefix) || strings.Contains(name, "/"):
		return fmt.Errorf("%.200q is not a sha256 and the name of a plugin", line)
	case len(p) == maxPins:
		return fmt.Errorf("more than %d plugins", maxPins)
	}
	if _, twice := p[name]; twice {
		return fmt.Errorf("%s is there twice", name)
	}
	p[name] = Sum(sum)
	return nil
}

// Pin writes the pins of a directory: every plugin in it that can be used, as it is now.
// The file is replaced as a whole. It returns its path and the plugins.
func Pin(dir string) (file string, pinned []Plugin, err error) {
	found, err := findIn(dir)
	if err != nil {
		return "", nil, err
	}
	var text strings.Builder
	for _, p := range found {
		if p.Problem != nil {
			return "", nil, p.Problem
		}
		b, err := Open(p.Path)
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(&text, "%s  %s\n", b.Sum, filepath.Base(p.Path))
		b.Close()
		pinned = append(pinned, p)
	}
	if len(pinned) == 0 {
		return "", nil, fmt.Errorf("%w in %s: there is nothing to pin", ErrNotFound, dir)
	}
	file = filepath.Join(dir, PinsFile)
	next, err := os.CreateTemp(dir, PinsFile+".*")
	if err != nil {
		return "", nil, fmt.Errorf("write %s: %w", file, err)
	}
	_, err = next.WriteString(text.String())
	err = errors.Join(err, next.Chmod(0o644), next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), file)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(next.Name()))
	}
	return file, pinned, nil
}
