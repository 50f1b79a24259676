package launch

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// inheritedEnv names what a plugin sees of the manager's environment. A trailing *
// stands for any ending.
var inheritedEnv = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "GORACE", "GOCOVERDIR",
}

// socketDirKey tells a plugin where to make its socket.
const socketDirKey = "PLUGIN_UNIX_SOCKET_DIR"

// Environ filters the manager's environment: secrets in it are not the plugins'.
// Source: docs/protocol.md "Environment".
func Environ(host []string) []string {
	return slices.DeleteFunc(slices.Clone(host), func(kv string) bool {
		key, _, ok := strings.Cut(kv, "=")
		return !ok || !slices.ContainsFunc(inheritedEnv, func(pattern string) bool {
			prefix, any := strings.CutSuffix(pattern, "*")
			return key == pattern || any && strings.HasPrefix(key, prefix)
		})
	})
}

// environ is the whole environment of a plugin. handshake comes from go-plugin and
// names a socket directory that is too deep; ours replaces it.
func (s *Spec) environ(handshake []string) []string {
	env := override(Environ(os.Environ()), s.Env...)
	env = append(env, slices.DeleteFunc(slices.Clone(handshake), func(kv string) bool {
		return strings.HasPrefix(kv, socketDirKey+"=")
	})...)
	return append(env, s.inherits()...)
}

// inherits tells the plugin what it inherits.
func (s *Spec) inherits() []string {
	names := make([]string, len(s.Files))
	for i, f := range s.Files {
		names[i] = f.Name
	}
	return []string{
		socketDirKey + "=" + s.Dir,
		"LISTEN_FDS=" + strconv.Itoa(len(s.Files)),
		"LISTEN_FDNAMES=" + strings.Join(names, ":"),
	}
}
