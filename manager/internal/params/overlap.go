package params

import (
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/antano/antano/shared"
)

// listenAt is where a row listens, but for its host: two rows of one server that
// have it in common must have hosts that do not overlap.
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

// hostClass says which hosts a host has addresses in common with.
type hostClass int

const (
	host4 hostClass = iota // an IPv4 address, or a name, which may mean one
	host6
	wildcard4
	wildcard6 // open to IPv4 too
	hostClasses
)

// overlaps reports whether hosts of the classes have addresses in common although
// they are not equal.
func (c hostClass) overlaps(o hostClass) bool {
	return c == wildcard6 || o == wildcard6 || c == wildcard4 && o != host6 || o == wildcard4 && c != host6
}

// classify returns the class of a host and the spelling that equal hosts share.
func classify(host string) (hostClass, string) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch name {
	case "":
		name = "0.0.0.0"
	case "localhost":
		name = "127.0.0.1"
	}
	a, err := netip.ParseAddr(name)
	a = a.Unmap()
	switch {
	case err != nil:
		return host4, name
	case a.IsUnspecified() && a.Is4():
		return wildcard4, a.String()
	case a.IsUnspecified():
		return wildcard6, a.String()
	case a.Is6():
		return host6, a.String()
	}
	return host4, a.String()
}

// listeners are the rows that share a listenAt: the first of each host and class,
// so that many rows on one port cost no comparison of each with each.
type listeners struct {
	host  map[string]*Row
	class [hostClasses]*Row
}

// add notes r and returns an earlier row with an address in common, or nil. host is
// that of r, or the same for all where a host has no meaning.
func (l *listeners) add(r *Row, host string) *Row {
	class, host := classify(host)
	other := l.host[host]
	for c, first := range l.class {
		if other == nil && first != nil && class.overlaps(hostClass(c)) {
			other = first
		}
	}
	if l.host == nil {
		l.host = make(map[string]*Row)
	}
	if l.host[host] == nil {
		l.host[host] = r
	}
	if l.class[class] == nil {
		l.class[class] = r
	}
	return other
}

// clash reports that r listens where an earlier row does.
func (d *decoder) clash(r *Row, at listenAt, other *Row) {
	if at.network == "unix" {
		d.reportRow(r, "endpoint", "%s is already that of service %d on line %d; choose another path", quote(at.path), other.ID, other.Line)
		return
	}
	d.reportRow(r, "port", "%s %s is used twice: service %d on line %d listens on %s; choose another port or host",
		at.network, address(r), other.ID, other.Line, address(other))
}

func address(r *Row) string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }
