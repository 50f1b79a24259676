// Package load drives a server with real clients over all transports while it is
// disturbed, and tells a ledger what they send and get.
//
// A Fleet has parties that send at a steady rate to each other, to groups and to a
// handler; connectors that come and go; and pingers that measure, in a closed loop,
// how long clients wait that a fault should not concern. Each has goroutines of its
// own, which Fleet.Stop waits for.
package load
