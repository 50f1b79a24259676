// Package scaffold writes the first version of a service plugin: a Go project that
// builds, tests and runs as it is. It writes files and runs nothing.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// The kinds of projects.
const (
	Handler   = "handler"   // answers messages that others send to the service
	Transport = "transport" // has clients of its own, on the socket that antano opens
)

// Project is what to write.
type Project struct {
	Name     string // the service type
	Kind     string // Handler or Transport
	Module   string // module path of the new project
	Dir      string // made, and all that is in it; it may exist if it is empty
	Checkout string // of antano, to build against; empty: the published module
	Version  string // of antano
	Antano   string // the command, for the Makefile
}

// Binary is the name of the plugin's file.
func (p Project) Binary() string { return "antano-service-" + p.Name }

// Go is the version of Go that the project asks for: that of antano.
func (p Project) Go() string { return "1.26.0" }

var (
	validName   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	validModule = regexp.MustCompile(`^[A-Za-z0-9._~/-]+$`)
	builtIn     = []string{"udp", "tcp", "unix", "websocket", "rest"}
)

// Check says what is wrong with p, in a sentence about the command line.
func (p Project) Check() error {
	switch {
	case !validName.MatchString(p.Name):
		return fmt.Errorf("%q cannot be a service type: use a-z, 0-9, '-' and '_', a letter first, at most 64", p.Name)
	case slices.Contains(builtIn, p.Name):
		return fmt.Errorf("service type %s is built in: choose another name", p.Name)
	case p.Kind != Handler && p.Kind != Transport:
		return fmt.Errorf("--kind %q is none: use %s or %s", p.Kind, Handler, Transport)
	case !validModule.MatchString(p.Module) || path.Clean(p.Module) != p.Module || path.IsAbs(p.Module):
		return fmt.Errorf("--module %q is not a module path: use something like example.com/%s", p.Module, p.Binary())
	}
	return nil
}

// Write writes the project and returns its files, relative to Dir. When it fails nothing
// of it is left.
func (p Project) Write() (files []string, err error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	contents, err := p.render()
	if err != nil {
		return nil, err
	}
	made, err := p.makeDir()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		for _, name := range files {
			os.Remove(filepath.Join(p.Dir, name))
		}
		if made {
			os.Remove(p.Dir)
		}
	}()
	for name, text := range contents {
		files = append(files, name)
		if err := os.WriteFile(filepath.Join(p.Dir, name), text, 0o644); err != nil {
			return files, fmt.Errorf("write the project: %w", err)
		}
	}
	slices.Sort(files)
	return files, nil
}

// render is every file of the project by name.
func (p Project) render() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, dir := range []string{"templates/common", "templates/" + p.Kind} {
		all, err := fs.Glob(templates, dir+"/*.tmpl")
		if err != nil {
			return nil, err
		}
		for _, name := range all {
			t, err := template.ParseFS(templates, name)
			if err != nil {
				return nil, err
			}
			var b bytes.Buffer
			if err := t.Execute(&b, p); err != nil {
				return nil, err
			}
			name = strings.TrimSuffix(path.Base(name), ".tmpl")
			if name == "gitignore" {
				name = ".gitignore"
			}
			files[name] = b.Bytes()
		}
	}
	if p.Checkout == "" {
		return files, nil
	}
	// So that the first build asks nobody about what antano's own build has checked.
	sums, err := os.ReadFile(filepath.Join(p.Checkout, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("use the checkout of antano: %w", err)
	}
	files["go.sum"] = sums
	return files, nil
}

// makeDir makes Dir, or checks that there is nothing in it.
func (p Project) makeDir() (made bool, err error) {
	entries, err := os.ReadDir(p.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(p.Dir, 0o755); err != nil {
			return false, fmt.Errorf("make the project's directory: %w", err)
		}
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look into the project's directory: %w", err)
	case len(entries) > 0:
		return false, fmt.Errorf("%s is not empty: name another directory with --dir", p.Dir)
	}
	return false, nil
}

const antanoModule = "github.com/antano/antano"

// Checkout finds a checkout of antano at or above one of the directories; "" if there is
// none.
func Checkout(dirs ...string) string {
	for _, dir := range dirs {
		for dir != "" {
			if IsCheckout(dir) {
				return dir
			}
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	return ""
}

// IsCheckout reports whether dir is the root of antano's module.
func IsCheckout(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && slices.Contains(strings.Split(string(mod), "\n"), "module "+antanoModule)
}
