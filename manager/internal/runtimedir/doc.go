// Package runtimedir is the directory in which one running server keeps its sockets,
// the private directory of each process, and the lock that makes it the only one.
//
// Everything in it belongs to who holds the lock. No call blocks on anything but
// the file system. A Dir may be used by several goroutines, as long as no two of
// them work on one process's directory at once and Close comes last.
package runtimedir
