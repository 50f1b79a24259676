// Package nats is the NATS peer: its server as a process of its own, the client
// library that its users have, and the few words of its protocol that raw clients need.
package nats

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// Serve runs a server on a loopback port that it prints, until standard input ends.
// Limits that would end a slow subscriber are out of the way, logs too.
func Serve() error {
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true,
		MaxPending: 1 << 30, WriteDeadline: time.Minute, MaxConn: 1 << 20,
		PingInterval: time.Hour, DisableShortFirstPing: true, // raw clients expect messages only
	})
	if err != nil {
		return err
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("nats-server does not become ready")
	}
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// Version is of the server.
const Version = natsserver.VERSION
