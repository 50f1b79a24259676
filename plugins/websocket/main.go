// Command antano-service-websocket is the plugin of service type websocket: clients over
// WebSocket, browsers among them.
//
// It is started by antano; see README.md for its params.
package main

import "github.com/antano/antano/plugin"

// version is set by make build.
var version = "unknown"

func main() { plugin.Serve(new(service)) }
