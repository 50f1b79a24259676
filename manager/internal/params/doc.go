// Package params reads the params file: YAML or JSON with the same keys, decoded
// strictly. Every mistake is found in one pass and told with file, line and key;
// what comes back has every default filled in.
//
// Nothing here opens a socket, runs a plugin or looks at the network. The package
// has no goroutines and no state; its values may be read concurrently once they
// are built. The keys are described in docs/params.md, and docs/params.schema.json
// holds them for editors; a test keeps both equal to the table in keys.go.
package params
