package relay

import (
	"context"
	"fmt"

	"github.com/antano/antano/shared/wire"
)

// health holds the questions that are open. l.mu guards it.
type health struct {
	nonce uint64
	asked map[uint64]chan string
}

// Health asks the process whether its loops run and waits for the answer until ctx
// ends or the link goes down. failing names the loop or handler call that does not
// come round and is empty when all is well; the process chose it, so it is at most
// 1 KiB of anything.
func (l *Link) Health(ctx context.Context) (failing string, err error) {
	answer := make(chan string, 1)
	l.mu.Lock()
	l.health.nonce++
	nonce := l.health.nonce
	if l.health.asked == nil {
		l.health.asked = make(map[uint64]chan string)
	}
	l.health.asked[nonce] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.health.asked, nonce)
		l.mu.Unlock()
	}()
	if err := l.request(func(dst []byte) []byte { return wire.AppendHealth(dst, nonce) }); err != nil {
		return "", err
	}
	select {
	case failing = <-answer:
		return failing, nil
	case <-l.down:
		return "", fmt.Errorf("%w: %s", ErrDown, l)
	case <-ctx.Done():
		return "", fmt.Errorf("%s did not answer the health question: %w", l, ctx.Err())
	}
}

func (l *Link) healthOK(body []byte) error {
	var h wire.HealthOK
	if err := h.Parse(body); err != nil {
		return err
	}
	l.mu.Lock()
	answer := l.health.asked[h.Nonce]
	delete(l.health.asked, h.Nonce)
	l.mu.Unlock()
	if answer == nil {
		l.counters.strays.Add(1)
		return nil
	}
	answer <- string(h.Failing) // has room: a nonce is answered once
	return nil
}
