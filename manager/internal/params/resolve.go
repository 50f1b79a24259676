package params

import "github.com/antano/antano/shared"

// Resolve completes rows once it is known what their types listen on: transports
// maps the names of third-party types to what their plugins describe. It fills in
// the defaults that depend on that and checks addresses and framings; the error is
// Errors. Rows whose type is not in transports stay as they are. Rows that are
// complete are checked again, so call it too after changing hosts.
func Resolve(rows []Row, transports map[string]shared.Transport) error {
	d := &decoder{}
	d.resolve(rows, transports)
	return d.err()
}

var builtinTransports = map[string]shared.Transport{
	"udp": shared.TransportUDP, "tcp": shared.TransportTCP, "unix": shared.TransportUnix,
	"websocket": shared.TransportTCP, "rest": shared.TransportTCP,
}

func (d *decoder) resolve(rows []Row, transports map[string]shared.Transport) {
	taken := make(map[listenAt]*listeners)
	for i := range rows {
		r := &rows[i]
		if fault := framingFault(r); fault != "" {
			d.reportRow(r, "framing", "%s", fault)
		}
		t, known := builtinTransports[r.ServiceType]
		if !known {
			t, known = transports[r.ServiceType]
		}
		if !known {
			continue
		}
		d.settle(r, t)
		at, ok := r.listens(t)
		if !ok {
			continue
		}
		if taken[at] == nil {
			taken[at] = new(listeners)
		}
		host := r.Host
		if t == shared.TransportUnix {
			host = ""
		}
		if other := taken[at].add(r, host); other != nil {
			d.clash(r, at, other)
		}
	}
}

// settle fills in and checks what depends on the transport. It may be called again.
func (d *decoder) settle(r *Row, t shared.Transport) {
	switch t {
	case shared.TransportTCP, shared.TransportUDP:
		if r.Host == "" {
			r.Host = "0.0.0.0"
		}
		if r.lines["port"] == 0 {
			d.reportRow(r, "port", "is missing; give the port to listen on, or 0 to let the kernel choose")
		}
	case shared.TransportUnix:
		if fault := endpointFault(r.Endpoint); fault != "" {
			d.reportRow(r, "endpoint", "%s", fault)
		}
	}
	if t != shared.TransportUnix {
		r.Mode, r.SocketType = 0, ""
	}
	if !streams(r, t) {
		if r.framing != shared.FramingNone {
			d.reportRow(r, "framing", "has no meaning here: %s; remove it", packets(r))
		}
		r.FramingIn, r.FramingOut = shared.FramingNone, shared.FramingNone
		return
	}
	r.FramingIn, r.FramingOut = r.framing, r.framing
	if r.framing == shared.FramingNone {
		r.FramingIn = shared.DefaultFraming(r.MessageFormatIn)
		r.FramingOut = shared.DefaultFraming(r.MessageFormatOut)
	}
}

// streams reports whether messages have to be told apart by a framing.
func streams(r *Row, t shared.Transport) bool {
	switch t {
	case shared.TransportTCP:
		return r.ServiceTypeID != shared.TypeWebSocket && r.ServiceTypeID != shared.TypeREST
	case shared.TransportUnix:
		return r.SocketType == shared.SocketStream
	}
	return false
}

func packets(r *Row) string {
	if r.ServiceTypeID == shared.TypeUnix {
		return "one packet of a " + r.SocketType + " socket is one message (socket_type: stream has a framing)"
	}
	return r.ServiceType + " tells messages apart by itself"
}
