// Package hub is the core of the SDK: it turns what clients send into frames on the
// relay link, and frames into what clients get.
//
// Ordering: messages of one client leave in the order of its Receive calls; what is
// put into a client's queue is written in that order. Blocking: Receive,
// PassThroughMessage and Drain may block, each for a bounded time; everything that the link's reader
// calls (the On methods) does not. A slow client costs one goroutine while it is slow,
// an idle one none. Ownership: byte slices that are passed in are copied or not kept.
//
// Locks are held for memory operations only. Their order is groups, client, the rest;
// the rest are leaves.
package hub
