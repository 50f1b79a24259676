package program

import (
	"os/exec"
	"strings"
)

// Version is the first line that a program prints when asked for its version.
func Version(name, flag string) string {
	path, err := Find(name, name)
	if err != nil {
		return err.Error()
	}
	out, _ := exec.Command(path, flag).CombinedOutput() // some exit with 1 after it
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
