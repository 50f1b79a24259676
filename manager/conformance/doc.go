// Package conformance tries a plugin, in whatever language, against docs/protocol.md:
// every point launches processes of its own as a manager would, with a relay that says and
// sees each frame. It is what `antano plugin test` runs. Source: docs/conformance.md.
package conformance
