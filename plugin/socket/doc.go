// Package socket is the seed's SocketService: it serves clients on the sockets that
// the manager opened, as streams (tcp, unix stream, unix seqpacket) or as datagrams
// (udp, unix dgram), and is all that the built-in transports consist of.
//
// Ordering: messages of one client are received in the order sent. Blocking: a stream
// whose destination pushes back is not read meanwhile; nothing else waits for it.
// Goroutines: one for each listening socket, each slot read and each connection, one
// sweeper for datagram sources; Stop returns when all are gone. Ownership: inherited
// descriptors are used, never closed and never made blocking. Moves: a client goes to
// another process of the service with its connection, what was read of it and not taken,
// and where its decoder stopped within a message. Source: the seed's
// services.SocketService, docs/architecture.md "Sockets".
package socket
