package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared/wire"
)

// giveTime bounds what it takes to give the descriptors away.
const giveTime = 10 * time.Second

// give sends what was inherited, but for the lifeline, to a successor of the manager, in
// a goroutine that disconnect waits for.
func (p *Process) give(socket string, first wire.Transfer) {
	p.wg.Go(func() {
		if err := p.giveSockets(socket, first); err != nil {
			p.log.Error("give sockets: " + err.Error())
		}
	})
}

func (p *Process) giveSockets(socket string, first wire.Transfer) error {
	ctx, cancel := context.WithTimeout(context.Background(), giveTime)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := transfer.Dial(ctx, socket, first)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Abort)()
	for _, d := range p.inherited.all() {
		if d.Name == "lifeline" {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(d.FD), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("duplicate descriptor %d (%s): %w", d.FD, d.Name, err)
		}
		if err := c.Put(fd, func(dst []byte) []byte { return transfer.AppendSocket(dst, d.Name) }); err != nil {
			return err
		}
	}
	c.Finish()
	if _, err := c.Next(); !errors.Is(err, io.EOF) && ctx.Err() == nil { // it closes when it has them
		return err
	}
	return ctx.Err()
}
