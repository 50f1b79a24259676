package point

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/antano/antano/shared"
)

// unspoken is a version of the plugin protocol that nobody speaks.
const unspoken = "1000"

// versions offers a version that the plugin cannot speak, alone and before one that it can.
func versions(t *trial) (string, error) {
	alone, err := t.offer(unspoken)
	switch {
	case err != nil:
		return "", err
	case alone.line != "":
		return "", fmt.Errorf("offered version %s alone it prints %.80q; compare $PLUGIN_PROTOCOL_VERSIONS before the handshake, and exit %d", unspoken, alone.line, shared.ExitConfig)
	case alone.code != shared.ExitConfig:
		return "", fmt.Errorf("offered version %s alone it ends with exit %d; exit %d", unspoken, alone.code, shared.ExitConfig)
	case alone.said == "":
		return "", fmt.Errorf("offered version %s alone it says nothing on stderr; say in one sentence which versions there are and what to change", unspoken)
	}
	both := fmt.Sprint(unspoken, ",", shared.ProtocolVersion)
	chosen, err := t.offer(both)
	if err != nil {
		return "", err
	}
	fields := strings.Split(chosen.line, "|")
	if len(fields) < 2 || fields[1] != fmt.Sprint(shared.ProtocolVersion) {
		return "", fmt.Errorf("offered versions %s its line is %.80q, and it says %.200q; field 2 has to be %d, whatever the order", both, chosen.line, chosen.said, shared.ProtocolVersion)
	}
	line, _, _ := strings.Cut(alone.said, "\n")
	return fmt.Sprintf("it said %.120q and exited %d, and chose %d of %s", line, alone.code, shared.ProtocolVersion, both), nil
}

// offered is what a plugin makes of an offer of versions: a line on stdout, or its end.
type offered struct {
	line, said string
	code       int
}

// offer starts the file by hand, and kills it when it has printed a line.
func (t *trial) offer(list string) (o offered, err error) {
	dir, err := os.MkdirTemp("", "antano-")
	if err != nil {
		return o, err
	}
	defer os.RemoveAll(dir)
	lifeline, end, err := os.Pipe()
	if err != nil {
		return o, err
	}
	defer end.Close()
	defer lifeline.Close()
	var errs strings.Builder
	cmd := exec.CommandContext(t.ctx, t.Path)
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", shared.CookieKey + "=" + shared.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=" + list,
		"PLUGIN_UNIX_SOCKET_DIR=" + dir, "LISTEN_FDS=1", "LISTEN_FDNAMES=lifeline",
	}
	cmd.ExtraFiles, cmd.Stderr, cmd.WaitDelay = []*os.File{lifeline}, &errs, quiet
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return o, fmt.Errorf("it cannot be started: %w", err)
	}
	o.line, _ = bufio.NewReaderSize(out, 4096).ReadString('\n')
	if o.line != "" {
		err = cmd.Cancel()
	}
	waited := cmd.Wait()
	o.said, o.code = strings.TrimSpace(errs.String()), cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	if t.ctx.Err() != nil {
		return o, fmt.Errorf("offered versions %s it neither prints a line nor ends (%w)", list, context.Cause(t.ctx))
	} else if waited != nil && !errors.As(waited, &exit) && !errors.Is(waited, exec.ErrWaitDelay) {
		err = errors.Join(err, waited)
	}
	return o, err
}
