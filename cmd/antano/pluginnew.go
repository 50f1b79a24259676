package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antano/antano/cmd/antano/internal/scaffold"
)

func newPluginNew() *cobra.Command {
	var p scaffold.Project
	c := &cobra.Command{
		Use: "new NAME", Short: "Write a new plugin: a Go project that builds, tests and runs", Args: oneArg("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			p.Name = args[0]
			if err := fillIn(&p); err != nil {
				return err
			}
			files, err := p.Write()
			if err != nil {
				return err
			}
			tidy := goTidy(c, p.Dir)
			fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", p.Dir, strings.Join(files, " "))
			if tidy != nil {
				return tidy
			}
			fmt.Fprintf(c.ErrOrStderr(), "next: cd %s && make test && make run\n", p.Dir)
			return nil
		},
	}
	c.Flags().StringVar(&p.Kind, "kind", scaffold.Handler, "handler: answers messages that clients of other services send to it; transport: has clients of its own over TCP")
	c.Flags().StringVar(&p.Dir, "dir", "", "directory to make (default: antano-service-NAME)")
	c.Flags().StringVar(&p.Module, "module", "", "module path of the project (default: antano-service-NAME)")
	c.Flags().StringVar(&p.Checkout, "replace", "", "checkout of antano to build against (default: that of this binary or directory, if there is one)")
	return c
}

// fillIn completes what the command line leaves out, and checks the rest.
func fillIn(p *scaffold.Project) (err error) {
	if p.Dir == "" {
		p.Dir = p.Binary()
	}
	if p.Module == "" {
		p.Module = p.Binary()
	}
	if err := p.Check(); err != nil {
		return usageError("%v", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	if p.Checkout != "" {
		if p.Checkout, err = filepath.Abs(p.Checkout); err != nil {
			return err
		}
		if !scaffold.IsCheckout(p.Checkout) {
			return usageError("--replace %s is no checkout of antano: it has no go.mod that says so", p.Checkout)
		}
	} else {
		here, _ := os.Getwd() // without one only the binary tells
		p.Checkout = scaffold.Checkout(filepath.Dir(self), here)
	}
	p.Version = moduleVersion(p.Checkout)
	p.Antano = self
	if found, err := exec.LookPath("antano"); err == nil && sameFile(found, self) {
		p.Antano = "antano"
	}
	return nil
}

var release = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// moduleVersion is the version of antano that a project asks for.
func moduleVersion(checkout string) string {
	if checkout == "" && release.MatchString(version) {
		return version
	}
	return "v0.0.0"
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// goTidy has Go note what the project depends on.
func goTidy(c *cobra.Command, dir string) error {
	cmd := exec.CommandContext(c.Context(), "go", "mod", "tidy")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("the project is written, but 'go mod tidy' in %s failed (%v): %s\nmend that and run it again; without a published antano, say where a checkout is with --replace",
			dir, err, bytes.TrimSpace(out))
	}
	return nil
}
