package main

import "github.com/hashicorp/go-hclog"

// quiet keeps go-plugin's own log out of the figures.
var quiet = hclog.NewNullLogger()
