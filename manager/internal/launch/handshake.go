package launch

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/antano/antano/shared"
)

// maxHandshake bounds the line of the handshake.
const maxHandshake = 4096

// checkHandshake reads the first line that a plugin prints and returns why it is
// refused. It is stricter than go-plugin: dir is where the socket must be, TCP is
// refused, and so is a certificate, which go-plugin would follow into a nil TLS
// configuration. Source: docs/protocol.md "Handshake".
func checkHandshake(line, dir string) error {
	fields := strings.Split(strings.TrimSpace(line), "|")
	if len(fields) < 4 || !isNumber(fields[0]) || !isNumber(fields[1]) {
		return fmt.Errorf("%w: its first line on stdout is not a handshake: %s; nothing may be printed there before it",
			ErrHandshake, quote(line))
	}
	if fields[0] != strconv.Itoa(plugin.CoreProtocolVersion) {
		return fmt.Errorf("%w: it speaks version %s of go-plugin's protocol, not %d; rebuild it", ErrHandshake, fields[0], plugin.CoreProtocolVersion)
	}
	if fields[1] != strconv.Itoa(shared.ProtocolVersion) {
		return fmt.Errorf("%w: it speaks version %s of the plugin protocol, this antano %d; install a plugin for version %[3]d, or an antano that speaks %[2]s",
			ErrHandshake, fields[1], shared.ProtocolVersion)
	}
	if fields[2] != "unix" {
		return fmt.Errorf("%w: it serves on %s %s, it must make a Unix socket in $%s", ErrHandshake, quote(fields[2]), quote(fields[3]), socketDirKey)
	}
	if path := fields[3]; filepath.Dir(path) != dir || len(path) > maxSocketPath || path != filepath.Clean(path) {
		return fmt.Errorf("%w: its socket %s is not directly in $%s or longer than %d bytes", ErrHandshake, quote(path), socketDirKey, maxSocketPath)
	}
	if len(fields) < 5 || fields[4] != string(plugin.ProtocolGRPC) {
		return fmt.Errorf("%w: field 5 of its handshake is not grpc: %s", ErrHandshake, quote(line))
	}
	if len(fields) > 5 && fields[5] != "" {
		return fmt.Errorf("%w: it demands TLS, which is not used on this socket: %s", ErrHandshake, quote(line))
	}
	return nil
}

func isNumber(s string) bool {
	return s != "" && len(s) < 10 && strings.Trim(s, "0123456789") == ""
}

// quote shows what a plugin printed without letting it write to a terminal, and
// not more than a line of it.
func quote(s string) string {
	const limit = 120
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
