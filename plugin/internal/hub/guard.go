package hub

import "context"

// guarded is a Transport whose panics are errors, for the move or the client alone.
type guarded struct {
	Transport
	hub *Hub
}

func (g guarded) MoveOut(ctx context.Context, slots uint64, give func(c *Client, state []byte, fd int) error) (err error) {
	defer g.hub.Recovered("MoveOut", &err)
	return g.Transport.MoveOut(ctx, slots, give)
}

// MoveBack leaves clients that nobody reads when it panics: health fails from then on, so
// that the process is replaced.
func (g guarded) MoveBack() {
	var err error
	defer func() {
		if err != nil {
			g.hub.unread.Store(true)
		}
	}()
	defer g.hub.Recovered("MoveBack", &err)
	g.Transport.MoveBack()
}

func (g guarded) MoveIn(state []byte, fd int, attach func(e *Endpoint, address string, w Writer) (*Client, error)) (resume func(), err error) {
	defer g.hub.Recovered("MoveIn", &err)
	return g.Transport.MoveIn(state, fd, attach)
}

// awaken lets the service read a client that has arrived; a panic there ends the client.
func (c *Client) awaken(resume func()) {
	var err error
	defer func() {
		if err != nil {
			c.end(err)
		}
	}()
	defer c.recovered("what MoveIn returned", &err)
	resume()
}

// askKept asks w for what the manager is to keep; slot -1 is nothing.
func (c *Client) askKept(w keptWriter) (slot int, state []byte) {
	slot = -1
	defer c.recovered("Writer.Kept", nil)
	return w.Kept()
}
