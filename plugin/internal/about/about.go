// Package about completes and checks what an author says of a plugin. It is pure.
package about

import (
	"runtime/debug"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
)

// Complete returns d with its defaults: the name of the file, the version that the Go tool
// noted, no sockets, and every built-in format.
func Complete(d shared.Description) shared.Description {
	all := shared.Formats{shared.FormatJSON, shared.FormatMsgpack, shared.FormatText, shared.FormatBinary}
	if d.Name == "" {
		d.Name = shared.PluginPrefix + d.ServiceType
	}
	if d.Version == "" {
		d.Version = version()
	}
	if d.Transport == "" {
		d.Transport = shared.TransportNone
	}
	if d.FormatsIn == nil {
		d.FormatsIn = all
	}
	if d.FormatsOut == nil {
		d.FormatsOut = all
	}
	return d
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// Check says what the manager would refuse about a complete description.
func Check(d shared.Description) error {
	_, err := control.ToDescription(control.FromDescription(d))
	return err
}
