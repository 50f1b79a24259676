package point

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// hello looks at the first frame of the link and at who sent it.
func hello(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx)
	if err != nil {
		return "", err
	}
	l, err := p.Meet(t.ctx, p.Begin(t.ctx))
	if err != nil {
		return "", err
	}
	if err := checkHello(l, p, wire.TypeHello); err != nil {
		return "", err
	}
	pid, err := l.PeerPID()
	if err != nil {
		return "", err
	}
	group, err := syscall.Getpgid(pid)
	if err == nil && group != p.PID() {
		return "", fmt.Errorf("the link comes from pid %d of process group %d; it has to come from the launched group %d", pid, group, p.PID())
	}
	return "hello has the version, process id, generation and secret of Start", nil
}

// checkHello holds the first frame against what Start told.
func checkHello(l *script.Link, p *rig.Process, want wire.Type) error {
	var h wire.Hello
	if l.First.Type != want {
		if err := l.Bad(); err != nil {
			return err
		}
		return fmt.Errorf("the first frame is %s, not %s", l.First.Type, want)
	}
	if err := h.Parse(l.First.Body); err != nil {
		return err
	}
	switch {
	case h.Version != p.Hello.Version:
		return fmt.Errorf("%s has version %d, not %d", want, h.Version, p.Hello.Version)
	case h.Process != p.Hello.Process || h.Generation != p.Hello.Generation:
		return fmt.Errorf("%s names process %d and generation %d; Start said %d and %d", want, h.Process, h.Generation, p.Hello.Process, p.Hello.Generation)
	case h.Secret != p.Hello.Secret:
		return fmt.Errorf("%s has another secret than Start told", want)
	}
	return nil
}

// start holds welcome back for a moment.
func start(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx)
	if err != nil {
		return "", err
	}
	starting := p.Begin(t.ctx)
	l, err := p.Meet(t.ctx, starting)
	if err != nil {
		return "", err
	}
	if err := t.wait(quiet); err != nil {
		return "", err
	}
	if starting.Answered() {
		return "", errors.Join(errors.New("the answer to Start came before the manager said welcome; wait for it"), starting.Wait(t.ctx))
	}
	if l.Seen(func(wire.Frame) bool { return true }) {
		return "", errors.New("frames came before welcome; nothing but hello may")
	}
	if err := l.Welcome(rig.ServerID, rig.Sequences, rig.Window); err != nil {
		return "", err
	}
	if err := starting.Wait(t.ctx); err != nil {
		return "", err
	}
	if _, err := l.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("after Start: %w", err)
	}
	if r.Manager.Waiting() {
		return "", errors.New("it opened a second relay link; there is one for each start")
	}
	return "Start was answered after welcome, over one link", nil
}

// unknownParams adds a key that no version has.
func unknownParams(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx)
	if err != nil {
		return "", err
	}
	params := map[string]any{}
	text, err := json.Marshal(p.Request().Params)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &params); err != nil {
		return "", err
	}
	params["no_such_key"] = true
	if text, err = json.Marshal(params); err != nil {
		return "", err
	}
	c, err := p.Control()
	if err != nil {
		return "", err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	go func() { // it may dial before it looks at the params
		if l, err := r.Manager.Next(ctx); err == nil {
			_ = l.Welcome(rig.ServerID, rig.Sequences, rig.Window)
		}
	}()
	refusal := c.StartWith(t.ctx, p, text)
	if refusal == nil {
		return "", errors.New(`the answer to Start came and was no error, although params have the key "no_such_key"; refuse keys that you do not know, or an operator's wish is ignored`)
	}
	if _, err := p.Ended(t.ctx); err != nil {
		return "", fmt.Errorf("after a Start that failed: %w", err)
	}
	if exit := p.Exit(); exit.Code != shared.ExitConfig {
		return "", fmt.Errorf("after a Start with a key that it does not know it ended: %s; exit %d, or it is started again and again", exit.Cause, shared.ExitConfig)
	}
	return fmt.Sprintf("it was refused (%.120s), and the process ended: %s", refusal, p.Exit().Cause), nil
}
