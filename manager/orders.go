package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/shared"
)

// Operate implements control.Backend.
func (b backend) Operate(o control.Order) (control.Stream, error) {
	if o.Verb == control.Reload {
		op, err := b.s.beginReload(o.DryRun)
		if err != nil {
			return nil, err
		}
		return op.watch(), nil
	}
	if o.Verb == control.Upgrade {
		op, err := b.s.beginUpgrade()
		if err != nil {
			return nil, err
		}
		return op.watch(), nil
	}
	svc, err := b.find(o.Service)
	if err != nil {
		return nil, err
	}
	workers, target := svc.processes(), svc.plan().Params.Name
	if o.Process != "" {
		w, err := b.findProcess(svc, o.Process)
		if err != nil {
			return nil, err
		}
		workers, target = []*worker{w}, w.String()
	}
	var run func(context.Context, *operation) error
	switch o.Verb {
	case control.Restart:
		run = func(ctx context.Context, op *operation) error { return svc.restart(ctx, op, workers) }
	case control.Stop:
		run = func(ctx context.Context, op *operation) error { return svc.stop(ctx, op, workers) }
	case control.Start:
		run = func(ctx context.Context, op *operation) error { return svc.start(ctx, op, workers) }
	case control.Scale:
		if err := svc.checkScale(o.Processes); err != nil {
			return nil, fmt.Errorf("%w: %w", control.ErrBadRequest, err)
		}
		target = fmt.Sprintf("%s=%d", target, o.Processes)
		run = func(ctx context.Context, op *operation) error { return svc.scale(ctx, op, o.Processes) }
	case control.Attach:
		if err := b.s.mayAttach(svc); err != nil {
			return nil, err
		}
		target = workers[0].String()
		run = func(ctx context.Context, op *operation) error { return svc.attach(ctx, op, workers[0]) }
	default:
		return nil, fmt.Errorf("%w: %q is no operation", control.ErrBadRequest, o.Verb)
	}
	op, err := b.s.operations.begin(o.Verb+" "+target, run)
	if err != nil {
		return nil, err
	}
	return op.watch(), nil
}

// Restart replaces the processes of a service one after another, or the one that is
// named, and gives what happens to take. The error says why it was not completed. The
// server goes on with it when ctx ends.
func (c *Control) Restart(ctx context.Context, service, process string, take func(Progress) error) error {
	return c.operate(ctx, serviceTarget(service, control.Restart, process), take)
}

// Stop is Restart for a stop.
func (c *Control) Stop(ctx context.Context, service, process string, take func(Progress) error) error {
	return c.operate(ctx, serviceTarget(service, control.Stop, process), take)
}

// Start is Restart for a start.
func (c *Control) Start(ctx context.Context, service, process string, take func(Progress) error) error {
	return c.operate(ctx, serviceTarget(service, control.Start, process), take)
}

// Scale is Restart for another number of processes.
func (c *Control) Scale(ctx context.Context, service string, processes int, take func(Progress) error) error {
	query := url.Values{"processes": {strconv.Itoa(processes)}}
	return c.operate(ctx, serviceTarget(service, control.Scale, "")+"?"+query.Encode(), take)
}

// Reload reads params and plugins again and applies what is different, or with dryRun
// only says what that is; else it is as Restart. Mistakes in params wrap ErrConfig.
func (c *Control) Reload(ctx context.Context, dryRun bool, take func(Progress) error) error {
	target := "/v1/reload"
	if dryRun {
		target += "?dry_run=1"
	}
	return c.operate(ctx, target, take)
}

func serviceTarget(service, verb, process string) string {
	target := "/v1/services/" + url.PathEscape(service) + "/" + verb
	if process != "" {
		target += "?" + filter("", process).Encode()
	}
	return target
}

var errNoEnd = errors.New("the server did not say how it ended; is it still running? 'antano status' shows how far it got")

func (c *Control) operate(ctx context.Context, target string, take func(Progress) error) error {
	ended := errNoEnd
	err := stream(ctx, c.client, http.MethodPost, target, func(p Progress) error {
		switch {
		case p.Error != "":
			ended = errors.New(p.Error)
			if p.Code == shared.ExitConfig {
				ended = configError{ended}
			}
		case p.Done:
			ended = nil
		}
		return take(p)
	})
	if err != nil {
		return err
	}
	return ended
}
