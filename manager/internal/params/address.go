package params

import (
	"cmp"
	"net/netip"
	"path"
	"regexp"
	"strings"

	"github.com/antano/antano/shared"
)

// maxPath is the longest path of a Unix socket that Linux takes.
const maxPath = 107

var (
	hostName  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	allDigits = regexp.MustCompile(`(^|\.)[0-9]+$`)
)

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
		return "must be at most 107 bytes, which is what the kernel takes; use a shorter path"
	case strings.HasSuffix(endpoint, "/") || path.Base(path.Clean(endpoint)) == "." || path.Base(path.Clean(endpoint)) == "..":
		return "must be the path of a socket, not of a directory; add a file name"
	case reserved[path.Clean(endpoint)]:
		return "is a socket of antano itself; choose another name"
	}
	return ""
}

// listenAt is where a row listens: two rows of one server must not overlap.
type listenAt struct {
	server  int
	network string // tcp, udp or unix
	port    int
	path    string
}

// listens returns where r listens and whether that can clash at all.
func (r *Row) listens(t shared.Transport) (listenAt, bool) {
	switch {
	case t == shared.TransportUnix && r.Endpoint != "":
		return listenAt{server: r.AntanoServerID, network: "unix", path: path.Clean(r.Endpoint)}, true
	case (t == shared.TransportTCP || t == shared.TransportUDP) && r.Port != 0:
		return listenAt{server: r.AntanoServerID, network: string(t), port: r.Port}, true
	}
	return listenAt{}, false
}

// overlap reports whether two hosts name a common address. `::` is open to IPv4 too.
func overlap(a, b string) bool {
	x, errX := netip.ParseAddr(numericHost(a))
	y, errY := netip.ParseAddr(numericHost(b))
	if errX != nil || errY != nil {
		return strings.EqualFold(a, b) || errX == nil && x.IsUnspecified() || errY == nil && y.IsUnspecified()
	}
	x, y = x.Unmap(), y.Unmap()
	return x == y || covers(x, y) || covers(y, x)
}

// numericHost is the address that the names every machine has stand for.
func numericHost(host string) string {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return "127.0.0.1"
	}
	return cmp.Or(host, "0.0.0.0")
}

func covers(wildcard, a netip.Addr) bool {
	return wildcard.IsUnspecified() && (wildcard.Is6() || a.Is4())
}
