package socket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/internal/about"
	"github.com/antano/antano/shared"
)

var (
	errNotServing = errors.New("the service is not serving: add sockets between start and stop")
	errStopped    = errors.New("the service stopped")
	errMoved      = errors.New("another process reads its slot")
)

// SocketService is a plugin.Service on sockets, and a Drainer, Handover, SlotReader and
// HealthChecker. All methods are safe for concurrent use. Source: the seed's
// services.SocketService.
type SocketService struct {
	config Config

	// Set by Start, before any goroutine of the service exists.
	host     plugin.Host
	params   shared.ServiceParams
	kind     int // SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM: of all sockets
	endpoint plugin.Endpoint
	frame    func(dst, payload []byte) ([]byte, error) // of outgoing messages; nil sends them bare
	idle     time.Duration
	partial  budget
	batches  *sync.Pool // of *inBatch, for datagrams; nil without
	done     chan struct{}

	lingering atomic.Int64  // refused connections that may still read their answer
	stirred   atomic.Bool   // datagrams have come since the last sweep
	stir      chan struct{} // and that is new
	calls     calls
	tasks     sync.WaitGroup

	assigning sync.Mutex // serialises AssignSlots and its end; no goroutine of ours takes it

	mu        sync.Mutex
	serving   bool
	listeners map[*listener]struct{}
	streams   map[*stream]struct{}
	awake     map[*stream]uint32 // those whose goroutine is run, and their reads at the last look
	looking   bool               // somebody looks after awake
	slots     map[int]*slot
	moving    *moveOut // what the last MoveOut has stopped
}

var (
	_ plugin.Service       = (*SocketService)(nil)
	_ plugin.Drainer       = (*SocketService)(nil)
	_ plugin.Handover      = (*SocketService)(nil)
	_ plugin.SlotReader    = (*SocketService)(nil)
	_ plugin.HealthChecker = (*SocketService)(nil)
)

// New returns a service that is not started. It opens nothing.
func New(config Config) *SocketService {
	config.Description = about.Complete(config.Description)
	config.Handover = true
	return &SocketService{
		config:    config,
		listeners: make(map[*listener]struct{}),
		streams:   make(map[*stream]struct{}),
		awake:     make(map[*stream]uint32),
		slots:     make(map[int]*slot),
		done:      make(chan struct{}),
		stir:      make(chan struct{}, 1),
	}
}

// Describe says what the service is. Source: plugin.Service.
func (s *SocketService) Describe() shared.Description { return s.config.Description }

// CanSend reports whether messages can be sent to clients of the service. Source:
// the seed's can_send.
func (s *SocketService) CanSend() bool { return s.config.CanSend }

// Start serves the inherited sockets of host. Datagram sockets are read once
// AssignSlots says which. Source: plugin.Service, the seed's start.
func (s *SocketService) Start(_ context.Context, host plugin.Host) error {
	s.host, s.params = host, host.Params()
	s.partial.bound = int64(s.params.Limits.ProcessQueueBytes)
	if s.params.FramingIn == shared.FramingNone {
		s.params.FramingIn = shared.DefaultFraming(s.params.MessageFormatIn)
	}
	if s.params.FramingOut == shared.FramingNone {
		s.params.FramingOut = shared.DefaultFraming(s.params.MessageFormatOut)
	}
	sockets := host.Sockets()
	config, err := s.endpointConfig(sockets)
	if err != nil {
		return err
	}
	s.frame = config.Frame
	s.idle = s.params.Limits.IdleTimeout
	if config.Datagram && s.idle <= 0 {
		s.idle = defaultIdle
	}
	if s.endpoint, err = host.NewEndpoint(config); err != nil {
		return fmt.Errorf("declare the clients of service %d: %w", s.params.ID, err)
	}
	s.mu.Lock()
	s.serving = true
	s.mu.Unlock()
	if config.Datagram {
		s.tasks.Add(1)
		go s.sweep()
	}
	if err := s.AddSockets(sockets); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Drain takes no new connection any more and returns. Clients are served on; the
// host refuses new datagram sources. Source: plugin.Drainer.
func (s *SocketService) Drain(context.Context) error {
	s.mu.Lock()
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	for _, l := range listeners {
		l.close()
		<-l.gone
	}
	return nil
}

// Stop closes the service at once and returns when its goroutines are gone, or with
// ctx. Source: plugin.Service, the seed's stop.
func (s *SocketService) Stop(ctx context.Context) error {
	gone := make(chan error, 1)
	go func() { gone <- s.Close() }()
	select {
	case err := <-gone:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop service %d: a call of its code is still running: %w", s.params.ID, ctx.Err())
	}
}

// Close closes every socket and client of the service and waits for its goroutines.
// It must not be called from OnReceivedMessage. A closed service is not started
// again. Source: the seed's close.
func (s *SocketService) Close() error {
	s.mu.Lock()
	if s.serving {
		s.serving = false
		close(s.done)
	}
	listeners := slices.Collect(maps.Keys(s.listeners))
	streams := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()

	s.calls.cancel()
	for _, l := range listeners {
		l.close()
	}
	for _, c := range streams {
		c.Close()
		if c.client != nil { // a Receive that waits ends with its client
			c.client.Close(errStopped)
		}
	}
	s.assigning.Lock()
	defer s.assigning.Unlock()
	for _, sl := range s.allSlots() {
		sl.stop()
		sl.forget(func(*source) bool { return true }, endSource(errStopped))
	}
	s.tasks.Wait()
	return nil
}

// beginLocked counts a goroutine that Close will wait for, unless the service closed. The
// caller holds s.mu.
func (s *SocketService) beginLocked() bool {
	if s.serving {
		s.tasks.Add(1)
	}
	return s.serving
}

// isServing reports whether the service has not been closed.
func (s *SocketService) isServing() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// pause waits and reports whether the service still serves.
func (s *SocketService) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}
