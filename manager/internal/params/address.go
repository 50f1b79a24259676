package params

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
)

// maxPath is the longest path of a Unix socket that Linux takes.
const maxPath = 107

var (
	hostName  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	allDigits = regexp.MustCompile(`(^|\.)[0-9]+$`)
)

// CheckHost fails for what cannot be the host of a row; "" stands for the default.
func CheckHost(host string) error {
	if fault := hostFault(host); fault != "" {
		return errors.New(fault)
	}
	return nil
}

// hostFault says what is wrong with a host; "" is right and means the default.
func hostFault(host string) string {
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return ""
	}
	switch {
	case host == "*":
		return "must be an address; write 0.0.0.0 for all IPv4 addresses, :: for all"
	case strings.ContainsAny(host, ":[]"):
		return "must be an address without brackets and port, as ::1, not " + quote(host)
	case len(host) > 253 || !hostName.MatchString(host) || allDigits.MatchString(host):
		return "must be an IP address or a host name, not " + quote(host)
	}
	return ""
}

// reserved are the sockets that the manager itself has in the runtime directory.
var reserved = map[string]bool{"relay.sock": true, "control.sock": true, "internal.sock": true}

// endpointFault says what is wrong with the endpoint of a Unix socket. A relative
// one is in the runtime directory; that the whole path fits is checked with it.
func endpointFault(endpoint string) string {
	switch {
	case endpoint == "":
		return "must be the path of the socket, absolute or relative to the runtime directory"
	case len(endpoint) > maxPath:
		return fmt.Sprintf("must be at most %d bytes, which is what the kernel takes, not %d; use a shorter path or --runtime-dir", maxPath, len(endpoint))
	case strings.HasSuffix(endpoint, "/") || path.Base(path.Clean(endpoint)) == "." || path.Base(path.Clean(endpoint)) == "..":
		return "must be the path of a socket, not of a directory; add a file name"
	case reserved[path.Clean(endpoint)]:
		return "is a socket of antano itself; choose another name"
	}
	return ""
}
