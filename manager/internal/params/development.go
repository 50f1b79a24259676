package params

import "path/filepath"

// development is what runs without a params file. Source: docs/params.md.
const development = `
num_of_process: 2
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 18001}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 18002}
  - {id: 3, service_type: unix, name: unix, socket_type: stream, endpoint: antano.sock}
`

// Development returns the built-in params: udp 127.0.0.1:18001, tcp 127.0.0.1:18002
// and the Unix stream socket antano.sock in runtimeDir, JSON, two processes each.
func Development(runtimeDir string) *Params {
	p, err := Parse("built-in params", []byte(development))
	if err != nil {
		panic(err) // the text above is wrong; a test parses it
	}
	unix := &p.Services[2]
	unix.Endpoint = filepath.Join(runtimeDir, unix.Endpoint)
	return p
}
