// Package point has the points of the conformance kit: what docs/protocol.md demands of a
// plugin, each tried on processes of its own.
package point
