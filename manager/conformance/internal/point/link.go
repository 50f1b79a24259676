package point

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// elsewhere is a client of another process, farProcess.
const farProcess = 99

var elsewhere = shared.NewClientID(rig.ServerID, farProcess, 1)

func health(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	for _, number := range []uint64{1, 2, math.MaxUint64} {
		failing, err := p.Link.Health(t.ctx, number)
		if err != nil {
			return "", err
		}
		if failing != "" {
			return "", fmt.Errorf("it says of itself %.200q a moment after it started", failing)
		}
	}
	return "three questions were answered with their numbers: all is well", nil
}

// healthRecovery stops the process for longer than any loop takes to come round.
func healthRecovery(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return "", err
	}
	if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendHealth(dst, 1) }); err != nil {
		return "", err
	}
	if err := t.wait(quiet); err != nil {
		return "", err
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		return "", err
	}
	if _, err := p.Link.Take(t.ctx, "the answer to the question of meanwhile", isHealth(1)); err != nil {
		return "", err
	}
	for number := uint64(2); ; number++ {
		failing, err := p.Link.Health(t.ctx, number)
		if err != nil {
			return "", err
		}
		if failing == "" {
			return "it answered what was asked while it stood still, and is well", nil
		}
		if err := t.wait(quiet); err != nil {
			return "", fmt.Errorf("it still says %.200q: %w", failing, err)
		}
	}
}

func isHealth(number uint64) func(wire.Frame) bool {
	return func(f wire.Frame) bool {
		var h wire.HealthOK
		return f.Type == wire.TypeHealthOK && h.Parse(f.Body) == nil && h.Nonce == number
	}
}

// slots takes all slots away and gives them back; without slots any set is confirmed.
func slots(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	all := r.Slots()
	if all == 0 {
		return "a set of slots was confirmed, though it has none", p.Link.Slots(t.ctx, 5)
	}
	if err := p.Link.Slots(t.ctx, 0); err != nil {
		return "", err
	}
	if t.Speaks != nil {
		return "no slots and all slots were confirmed", p.Link.Slots(t.ctx, all)
	}
	c, err := t.connect(r)
	if err != nil {
		return "", err
	}
	if err := c.Send(`{"type":"ping","id":1}`); err != nil {
		return "", err
	}
	if err := t.silent(c, "it confirmed that it reads no slots"); err != nil {
		return "", err
	}
	if err := p.Link.Slots(t.ctx, all); err != nil {
		return "", err
	}
	if _, err := c.Receive(t.ctx); err != nil {
		return "", fmt.Errorf("it confirmed that it reads all slots again, and the datagram that waited was not answered: %w", err)
	}
	return "a datagram waited while its slot was not to be read, and was answered afterwards", nil
}

// unknownType is the last that has to be known, laterType and all beyond need not be.
const (
	unknownType wire.Type = 127
	laterType   wire.Type = 128
)

// later speaks as a manager of a later version does.
func later(t *trial) (string, error) {
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
	if err := l.WelcomeWith(rig.ServerID, rig.Sequences, rig.Window, []byte("more")); err != nil {
		return "", err
	}
	if err := starting.Wait(t.ctx); err != nil {
		return "", fmt.Errorf("start with a welcome that has four bytes more at its end: %w; ignore them", err)
	}
	for n, typ := range []wire.Type{laterType, laterType + 1, 255} {
		if err := l.Send(func(dst []byte) []byte { return wire.AppendMove(wire.AppendEmpty(dst, typ), typ, 1) }); err != nil {
			return "", err
		}
		if _, err := l.Health(t.ctx, uint64(n)); err != nil {
			return "", fmt.Errorf("after frames of type %d: %w; ignore those of types from %d on that you do not know", typ, err, laterType)
		}
	}
	return "bytes behind the welcome and frames of types 128, 129 and 255 were ignored", nil
}

// badFrames says each nonsense to a process of its own.
func badFrames(t *trial) (string, error) {
	unknown := wire.AppendEmpty(nil, unknownType)
	short := wire.AppendHealth(nil, 1)
	short = short[:len(short)-1]
	binary.BigEndian.PutUint32(short, uint32(len(short)-4))
	for name, bytes := range map[string][]byte{
		"a length of 0":                   {0, 0, 0, 0},
		"a length over 16 MiB and 64 KiB": {0xff, 0xff, 0xff, 0xff, byte(wire.TypeHealth)},
		"a health that is cut short":      short,
		"a frame of unknown type 127":     unknown,
		"a hello, which only plugins say": wire.AppendHello(nil, new(wire.Hello)),
	} {
		_, p, err := t.serve(nil)
		if err != nil {
			return "", err
		}
		if err := p.Link.Write(bytes); err != nil {
			return "", err
		}
		if err := p.Link.Ended(t.ctx); err != nil {
			return "", fmt.Errorf("it got %s: %w; close the link, since nothing behind it can be trusted", name, err)
		}
		if _, err := p.Ended(t.ctx); err != nil {
			return "", fmt.Errorf("it got %s: %w; exit 1", name, err)
		}
		if exit := p.Exit(); exit.Code != 1 {
			return "", fmt.Errorf("it got %s and ended: %s; exit 1", name, exit.Cause)
		}
	}
	return "five kinds of nonsense were each answered by the end of the link and exit 1", nil
}

// unknownResult sends results that nothing was asked for.
func unknownResult(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	for _, token := range []uint64{0, 1, 1 << 60} {
		if err := p.Link.Answer(token, 1, shared.CodeOverloaded); err != nil {
			return "", err
		}
	}
	if err := p.Link.Send(func(dst []byte) []byte {
		dst = wire.AppendCredit(dst, &wire.Credit{Lane: wire.Lane{Kind: wire.KindService, ID: 12345}, Bytes: 1})
		dst = wire.AppendPause(dst, wire.TypeResume, &wire.Pause{Client: elsewhere, Process: farProcess})
		return wire.AppendMove(dst, wire.TypeMoveAbort, 77)
	}); err != nil {
		return "", err
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("after results, credit, resume and the end of a move that it does not know: %w; ignore them", err)
	}
	return "results, credit, a resume and the end of a move that it did not know were ignored", nil
}

// hold keeps a process from sending, as before an upgrade of the manager.
func hold(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	if err := t.holdTo(p, wire.HoldMessages); err != nil {
		return "", err
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("while messages are held: %w; health is not", err)
	}
	if t.lacks(clients) == "" {
		c, err := t.connect(r)
		if err != nil {
			return "", err
		}
		if err := c.Send(`{"entity":"room","entity_id":1,"message":"held","id":1}`); err != nil {
			return "", err
		}
		if err := t.wait(quiet); err != nil {
			return "", err
		}
		if p.Link.Seen(isMessage) {
			return "", errors.New("a message was sent although the manager said hold with mode 1; keep it until mode 0")
		}
	}
	if err := t.holdTo(p, wire.HoldNothing); err != nil {
		return "", err
	}
	if t.lacks(clients) != "" {
		return "it held, and went on", nil
	}
	if _, err := p.Link.Message(t.ctx); err != nil {
		return "", fmt.Errorf("after hold with mode 0: %w", err)
	}
	return "a message waited until the manager said to go on", nil
}

func isMessage(f wire.Frame) bool { return f.Type == wire.TypeMessage }

func (t *trial) holdTo(p *rig.Process, mode wire.Hold) error {
	if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendHold(dst, wire.TypeHold, mode) }); err != nil {
		return err
	}
	_, err := p.Link.Take(t.ctx, fmt.Sprintf("held with mode %d", mode), func(f wire.Frame) bool {
		got, err := wire.ParseHold(f.Body)
		return f.Type == wire.TypeHeld && err == nil && got == mode
	})
	return err
}

// acknowledge sends messages that cannot be delivered and that nobody waits for.
func acknowledge(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	const n = 10
	for range n {
		if err := p.Link.Deliver(to(shared.NewClientID(rig.ServerID, rig.ProcessID, math.MaxUint32), 0, `1`)); err != nil {
			return "", err
		}
	}
	if err := p.Link.Acked(t.ctx, n); err != nil {
		return "", err
	}
	if p.Link.Seen(func(f wire.Frame) bool { return f.Type == wire.TypeResult }) {
		return "", errors.New("a message with token 0 got a result; nobody waits for one")
	}
	return "ten messages without a token were acknowledged and had no result", nil
}

// to is a message of a client elsewhere to a client.
func to(id shared.ClientID, token uint64, value string) *wire.Message {
	return &wire.Message{
		Token: token, FromProcess: farProcess, Flags: wire.FlagStream, Kind: wire.KindClient, EntityID: int64(id), Process: wire.AnyProcess,
		FromKind: wire.KindClient, FromID: int64(elsewhere), Format: shared.FormatJSON, Value: []byte(value),
	}
}

// notAClient has an id of this process that was never given.
func notAClient(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	const token = 41
	if err := p.Link.Deliver(to(shared.NewClientID(rig.ServerID, rig.ProcessID, math.MaxUint32), token, `"hello"`)); err != nil {
		return "", err
	}
	res, err := p.Link.Result(t.ctx, token)
	if err != nil {
		return "", err
	}
	if err := failedAs(res, shared.CodeNoSuchEntity, shared.CodeUnsupported); err != nil {
		return "", err
	}
	return "one copy failed as " + res.Failures()[0].Code.String(), nil
}

// failedAs wants exactly one copy, failed with one of the codes.
func failedAs(r *wire.Result, codes ...shared.Code) error {
	f := r.Failures()
	if r.Delivered == 0 && len(f) == 1 && f[0].Count == 1 {
		for _, c := range codes {
			if f[0].Code == c {
				return nil
			}
		}
	}
	return fmt.Errorf("the result is %s; it should be one copy failed as %s", shown(r), codes[0])
}

// delivered wants n copies delivered and none failed.
func delivered(r *wire.Result, n uint32) error {
	if r.Delivered == n && len(r.Failures()) == 0 {
		return nil
	}
	return fmt.Errorf("the result is %s; it should be %d delivered and none failed", shown(r), n)
}

func shown(r *wire.Result) string {
	text := fmt.Sprintf("%d delivered", r.Delivered)
	for _, f := range r.Failures() {
		text += fmt.Sprintf(", %d %s", f.Count, f.Code)
	}
	return text
}
