package shared

// The go-plugin handshake. A plugin that is started by hand sees no cookie and
// says so; a manager that launches the wrong executable is told by the version.
// Source: docs/protocol.md, "Handshake".
const (
	// CookieKey is the environment variable that marks a launch by the manager.
	CookieKey = "ANTANO_PLUGIN_COOKIE"
	// CookieValue is the value that CookieKey must have.
	CookieValue = "5b2d8a4e-antano-service-plugin"
	// ProtocolVersion is the version of the control plane and of the relay link.
	ProtocolVersion = 1
	// PluginPrefix begins the file name of every service plugin; the service
	// type's name follows.
	PluginPrefix = "antano-service-"
)

// ExitConfig is the exit code for wrong configuration (EX_CONFIG of sysexits.h).
// A plugin that exits with it is not retried until its params or its binary
// change; the commands of antano exit with it when params, plugins, Describe or
// settings are wrong.
const ExitConfig = 78
