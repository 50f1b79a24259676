// Package launch turns a plugin file into a running process whose control plane
// answers, and tells how it ended.
//
// Start forks the plugin with the descriptors, the environment and the output FIFOs
// of its own, does the go-plugin handshake with a Runner of ours and returns a
// Process. A Process belongs to whoever started it, who must Close it, also after it
// has exited by itself; until then it holds a few goroutines, descriptors and files.
// Its methods are safe for concurrent use. Every remote call ends with its context,
// with the process or after a minute; nothing here waits for a plugin without bound.
//
// docs/decisions/0001-go-plugin.md says why go-plugin is used in this way.
package launch
