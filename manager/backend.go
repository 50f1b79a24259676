package manager

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/launch"
)

// backend answers the control socket.
type backend struct{ s *Server }

func (b backend) Status() any { return b.s.Status() }

// clientsTime bounds how long the processes of a service may take to list their
// clients, less than a command waits.
const clientsTime = 5 * time.Second

func (b backend) Clients(ctx context.Context, service string) (any, error) {
	svc, err := b.find(service)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, clientsTime)
	defer cancel()
	clients := []ClientStatus{}
	for _, w := range svc.processes() {
		for _, i := range w.running() {
			err := i.proc.Clients(ctx, func(c launch.Client) {
				clients = append(clients, ClientStatus{ID: uint64(c.ID), ProcessID: w.id, Address: c.Address, Connected: c.Connected,
					MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut, QueuedBytes: c.QueuedBytes, Groups: c.Groups})
			})
			if err != nil && !errors.Is(err, launch.ErrExited) { // whose clients went with it
				return nil, fmt.Errorf("ask process %s for its clients: %w", w, err)
			}
		}
	}
	return clients, nil
}

// find returns the service with the given id or name.
func (b backend) find(service string) (*Service, error) {
	id, err := strconv.ParseInt(service, 10, 64)
	for _, svc := range b.s.snapshot() {
		if svc.plan().Params.Name == service || err == nil && svc.plan().Params.ID == id {
			return svc, nil
		}
	}
	return nil, fmt.Errorf("service %q %w; 'antano status' lists the services", service, control.ErrNotFound)
}

// findProcess returns the process of a service with the given id.
func (b backend) findProcess(svc *Service, process string) (*worker, error) {
	if id, err := strconv.Atoi(process); err == nil {
		if w := svc.worker(id); w != nil {
			return w, nil
		}
	}
	return nil, fmt.Errorf("process %q of service %s %w; 'antano status' lists the processes", process, svc.plan().Params.Name, control.ErrNotFound)
}

// Events implements control.Backend.
func (b backend) Events(q control.Query) (control.Stream, error) {
	return follow(b, b.s.events, q, func(e Event) (string, *int) { return e.Service, e.ProcessID }, func(missed uint64) Event {
		return Event{Time: time.Now(), Type: eventGap, Missed: missed, Message: fmt.Sprintf("%d events were missed: they were not read fast enough", missed)}
	})
}

// Logs implements control.Backend.
func (b backend) Logs(q control.Query) (control.Stream, error) {
	return follow(b, b.s.logs, q, func(l LogLine) (string, *int) { return l.Service, l.ProcessID }, func(missed uint64) LogLine {
		return LogLine{Time: time.Now(), Level: "warn", Missed: missed, Message: fmt.Sprintf("%d lines were missed: they were not read fast enough", missed)}
	})
}

// Why implements control.Backend.
func (b backend) Why(service, process string) (any, error) {
	svc, err := b.find(service)
	if err != nil {
		return nil, err
	}
	asked := svc.processes()
	if process != "" {
		w, err := b.findProcess(svc, process)
		if err != nil {
			return nil, err
		}
		asked = []*worker{w}
	}
	why := make([]Why, len(asked))
	for i, w := range asked {
		why[i] = w.why(time.Now())
	}
	return why, nil
}
