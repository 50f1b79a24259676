// Command antano-service-rest is the plugin of service type rest: messages by HTTP POST,
// and groups as server-sent events.
//
// It is started by antano; see README.md for its params.
package main

import "github.com/antano/antano/plugin"

// version is set by make build.
var version = "unknown"

func main() { plugin.Serve(new(service)) }
