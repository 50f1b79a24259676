// Package control translates between the control plane's generated protobuf types
// and the plain Go values of package shared, so that no generated type is seen
// outside the packages that speak gRPC.
//
// Every From function validates: what it returns holds all of the bounds that its
// doc comment names, whoever the peer is. All functions are pure, do not block and
// copy byte slices, so that neither side keeps memory of the other.
package control
