package launch

import (
	"os"
	"path/filepath"
	"testing"
)

// TestScript runs a script by its path, so that it knows where it is, and by a descriptor
// when another file is there by now: what was opened is what is executed.
func TestScript(t *testing.T) {
	mask := uint32(0o27)
	for name, c := range map[string]struct {
		replaced bool
		umask    *uint32 // asks for the helper
		ran      string
	}{
		"direct": {}, "helper": {umask: &mask},
		"replaced, direct": {replaced: true, ran: `/proc/self/fd/\d+`}, "replaced, helper": {replaced: true, umask: &mask, ran: `/proc/self/fd/\d+`},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "report")
			s.Env = append(s.Env, "SELF="+s.Path)
			s.Execution.Umask = c.umask
			s.Path = write(t, []byte("#!/bin/sh\nRAN=\"$0\" exec \"$SELF\"\n"), 0o755)
			file, err := os.Open(s.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			s.Binary = file
			if c.replaced {
				other := filepath.Join(filepath.Dir(s.Path), "other")
				if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 7\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(other, s.Path); err != nil {
					t.Fatal(err)
				}
			} else {
				c.ran = s.Path
			}
			r := reportOf(t, start(t, s))
			r.want(t, r.Env, "RAN="+c.ran+"$")
		})
	}
}
