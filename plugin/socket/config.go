package socket

import (
	"context"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// Config is what a SocketService is made of.
type Config struct {
	// Description is what Describe returns, with Handover set; Transport says which
	// sockets the manager opens.
	shared.Description

	// OnReceivedMessage, when set, gets each message as it came, without framing,
	// instead of the relay: what it returns, if not nil, goes back to the same
	// stream or datagram source, and its error is answered with its code
	// (*shared.Error) or `unsupported`. It is called in order for one client and
	// concurrently for different stream clients; clients of one datagram socket share
	// a goroutine. It may block for Host.HandlerTimeout, with which ctx ends. message
	// is valid until it returns. A response that cannot be sent is counted and logged.
	// Source: the seed's on_received_message.
	OnReceivedMessage func(ctx context.Context, message []byte, address string, client plugin.Client) (response []byte, err error)

	// SaveClient, when set, returns what the author keeps of a client that goes to
	// another process of the service, at most 15 MiB: no call of OnReceivedMessage for
	// it is running or begins then, but the move may still be given up and the client stay
	// here. RestoreClient gets it there, before the first message; state is nil when
	// the client has survived a crash of its process, and is the callee's. Each is called
	// by one goroutine at a time, while clients wait: neither may block, or wait for a
	// message to be delivered. When SaveClient panics its client stays and is drained; when
	// RestoreClient does, the move is given up and all clients stay where they are, or, after
	// a crash, its client ends.
	SaveClient    func(client plugin.Client) (state []byte)
	RestoreClient func(client plugin.Client, state []byte)
}

// What holds where params say nothing. Source: docs/architecture.md "Sockets".
const (
	siblingPause    = 2 * time.Millisecond // how long a process above its share leaves a connection to others
	defaultIdle     = 5 * time.Minute      // a datagram source is forgotten
	answerTime      = 5 * time.Second      // the longest that an answer can be owed
	callTime        = time.Second          // a move waits for a call of the author's
	loopTimeout     = 5 * time.Second      // a loop of ours has not come round
	lingerTime      = time.Second          // a refused peer may read its answer
	maxDiscards     = 64                   // reads of input that nobody wants, at once
	maxLingering    = 128                  // refused connections at once
	restAfter       = time.Second          // a silent connection rests, after one to two of these
	manyResting     = 1000                 // connections whose memory goes back to the system
	readSize        = 16 << 10             // bytes read from a stream at once
	maxUDPDatagram  = 65507                // payload of a datagram over IPv4
	datagramBatch   = 128                  // datagrams received before answers are flushed
	maxRetryPause   = 20 * time.Millisecond
	maxAcceptPause  = time.Second
	maxSettlePause  = 50 * time.Millisecond
	keepAliveIdle   = 60 // seconds until a silent TCP peer is asked
	keepAliveEvery  = 15 // seconds between questions
	keepAliveProbes = 4  // questions without an answer before it is gone
)
