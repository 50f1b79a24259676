package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// frames is what is remembered of those that passed.
type frames struct {
	service int64

	mu       sync.Mutex
	kept     []byte // a frame that comes after the next one
	answered map[uint64]bool
	sick     int
}

// proxy listens for the real plugin's relay link.
func (b *bent) proxy() (path string, err error) {
	path = filepath.Join(b.dir, "relay")
	l, err := net.Listen("unix", path)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.join(c)
		}
	}()
	return path, nil
}

func (b *bent) join(plugin net.Conn) {
	defer plugin.Close()
	manager, err := net.Dial("unix", b.relay)
	if err != nil {
		return
	}
	defer manager.Close()
	go func() {
		defer manager.Close()
		b.pump(plugin, manager, func(f wire.Frame) [][]byte { return b.fromPlugin(f, manager, plugin) })
	}()
	err = b.pump(manager, plugin, func(f wire.Frame) [][]byte { return b.fromManager(f, manager) })
	if b.is("clings") && errors.Is(err, io.EOF) && !gone(300*time.Millisecond) {
		time.Sleep(time.Hour)
	}
}

// gone reports whether the lifeline ends soon.
func gone(within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for i, name := range inherited() {
			var one [1]byte
			if n, err := syscall.Read(3+i, one[:0]); name == "lifeline" && n == 0 && err == nil {
				if n, err := syscall.Read(3+i, one[:]); n == 0 && err == nil {
					return true
				}
			}
		}
	}
	return false
}

func (b *bent) pump(from, to net.Conn, bend func(wire.Frame) [][]byte) error {
	r := wire.NewReader(from)
	for {
		f, err := r.Next()
		if err != nil {
			return err
		}
		for _, out := range bend(f) {
			if _, err := to.Write(out); err != nil {
				return err
			}
		}
	}
}

// swap keeps the frame of one number back until the next one has passed.
func (b *bent) swap(f wire.Frame, number uint64, first uint64) [][]byte {
	b.frames.mu.Lock()
	defer b.frames.mu.Unlock()
	if number == first {
		b.frames.kept = bytes.Clone(f.Raw)
		return nil
	}
	out := [][]byte{f.Raw}
	if number == first+1 && b.frames.kept != nil {
		out = append(out, b.frames.kept)
		b.frames.kept = nil
	}
	return out
}

// fromPlugin bends what the real plugin sends.
func (b *bent) fromPlugin(f wire.Frame, manager, plugin net.Conn) [][]byte {
	as := [][]byte{f.Raw}
	switch f.Type {
	case wire.TypeHello:
		b.greeted <- struct{}{}
		return b.hello(f)
	case wire.TypeHealthOK:
		return b.healthOK(f)
	case wire.TypeSlotsOK:
		if slots, err := wire.ParseU64(f.Body); err == nil && b.is("other-slots") {
			return [][]byte{wire.AppendSlots(nil, wire.TypeSlotsOK, slots<<1)}
		}
	case wire.TypeAck:
		if b.is("never-acks") {
			return nil
		}
	case wire.TypeMoreSequences:
		if b.is("modest") {
			return nil
		}
	case wire.TypeRange:
		if b.is("forgets-ranges") {
			return nil
		}
	case wire.TypePause:
		if b.is("never-pauses") {
			return nil
		}
	case wire.TypeMessage:
		return b.message(f, plugin)
	case wire.TypeResult:
		return b.result(f)
	case wire.TypeUnsubscribe:
		if b.is("stays-subscribed") {
			return nil
		}
	}
	return as
}

func (b *bent) hello(f wire.Frame) [][]byte {
	var h wire.Hello
	if h.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	switch {
	case b.is("other-generation"):
		h.Generation++
	case b.is("other-secret"):
		h.Secret[0]++
	case b.is("talks-first"):
		return [][]byte{f.Raw, wire.AppendEmpty(nil, wire.TypeMoreSequences)}
	}
	return [][]byte{wire.AppendHello(nil, &h)}
}

func (b *bent) healthOK(f wire.Frame) [][]byte {
	var h wire.HealthOK
	if h.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	if b.is("prints") {
		os.Stderr.WriteString("somebody asked how I am\n")
	}
	if b.is("short-numbers") {
		h.Nonce = uint64(uint32(h.Nonce))
	}
	switch {
	case b.is("sick-at-first"):
		b.frames.mu.Lock()
		if b.frames.sick++; b.frames.sick == 1 {
			h.Failing = []byte("I do not feel well")
		}
		b.frames.mu.Unlock()
	case b.is("sick-for-good"):
		if h.Nonce == 1 {
			time.Sleep(500 * time.Millisecond) // until SIGCONT was noticed
		}
		if b.continued.Load() {
			h.Failing = []byte("I have not slept well")
		}
	}
	return [][]byte{wire.AppendHealthOK(nil, &h)}
}

func (b *bent) message(f wire.Frame, plugin net.Conn) [][]byte {
	var m wire.Message
	if m.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	switch {
	case b.is("no-stream") && string(m.ID) == `"one"`:
		m.Flags &^= wire.FlagStream
		return [][]byte{wire.AppendMessage(nil, &m)}
	case b.is("other-sender") && string(m.ID) == `"one"`:
		m.FromID++
		return [][]byte{wire.AppendMessage(nil, &m)}
	case b.is("tidies-values") && string(m.ID) == `"one"`:
		m.Value = bytes.ReplaceAll(m.Value, []byte("2.50"), []byte("2.5"))
		return [][]byte{wire.AppendMessage(nil, &m)}
	case b.is("overtakes-out") && (string(m.Value) == "10" || string(m.Value) == "11"):
		return b.swap(f, uint64(m.Value[1]), '0')
	case b.is("wishful"): // a receipt where nobody answers
		token := m.Token
		time.AfterFunc(4*time.Second, func() {
			b.frames.mu.Lock()
			defer b.frames.mu.Unlock()
			if !b.frames.answered[token] {
				_, _ = plugin.Write(wire.AppendResult(nil, &wire.Result{Token: token, Delivered: 1}))
			}
		})
	case b.is("wrong-reply"):
		m.Flags &^= wire.FlagReply
		return [][]byte{wire.AppendMessage(nil, &m)}
	}
	return [][]byte{f.Raw}
}

func (b *bent) result(f wire.Frame) [][]byte {
	var r wire.Result
	if r.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	failed := r.Failures()
	switch {
	case b.is("optimistic") && len(failed) == 1 && failed[0].Code == shared.CodeNoSuchEntity:
		return [][]byte{wire.AppendResult(nil, &wire.Result{Token: r.Token, Delivered: 1})}
	case b.is("answers-twice") && r.Token == 10_500:
		return [][]byte{f.Raw, f.Raw}
	case b.is("miscounts") && r.Delivered == 2:
		return [][]byte{wire.AppendResult(nil, &wire.Result{Token: r.Token, Delivered: 3})}
	}
	return [][]byte{f.Raw}
}

// fromManager bends what the manager sends.
func (b *bent) fromManager(f wire.Frame, manager net.Conn) [][]byte {
	switch f.Type {
	case 127:
		if b.is("tolerant") {
			return nil
		}
	case 128:
		if b.is("dated") {
			return [][]byte{wire.AppendEmpty(nil, 127)}
		}
	case wire.TypeWelcome:
		return b.welcome(f)
	case wire.TypeResult:
		return b.results(f)
	case wire.TypeHold:
		if mode, err := wire.ParseHold(f.Body); err == nil && b.is("restless") {
			_, _ = manager.Write(wire.AppendHold(nil, wire.TypeHeld, mode))
			return nil
		}
	case wire.TypeMoveOut:
		if move, err := wire.ParseU64(f.Body[:8]); err == nil && b.is("abandons") {
			_, _ = manager.Write(wire.AppendMove(nil, wire.TypeMoveAbort, move))
			return nil
		}
	case wire.TypeMoveIn:
		if b.is("abandons") {
			return nil
		}
	case wire.TypePause:
		if b.is("unstoppable") {
			return nil
		}
	case wire.TypeMessage:
		return b.deliver(f)
	}
	return [][]byte{f.Raw}
}

func (b *bent) welcome(f wire.Frame) [][]byte {
	var w wire.Welcome
	if w.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	if b.is("makes-up-ids") && w.Sequences.Count > 100 {
		w.Sequences.First += 1 << 20
	}
	if b.is("greedy") {
		w.Window *= 16
	}
	return [][]byte{wire.AppendWelcome(nil, &w)}
}

func (b *bent) results(f wire.Frame) [][]byte {
	var r wire.Result
	if r.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	b.frames.mu.Lock()
	if b.frames.answered == nil {
		b.frames.answered = map[uint64]bool{}
	}
	b.frames.answered[r.Token] = true
	b.frames.mu.Unlock()
	switch {
	case b.is("touchy") && r.Token == 1<<60:
		fmt.Fprintln(os.Stderr, "panic: who asked for that?")
		os.Exit(2)
	case b.is("hides-failures") && r.Delivered > 0:
		return [][]byte{wire.AppendResult(nil, &wire.Result{Token: r.Token, Delivered: r.Delivered})}
	}
	return [][]byte{f.Raw}
}

func (b *bent) deliver(f wire.Frame) [][]byte {
	var m wire.Message
	if m.Parse(f.Body) != nil {
		return [][]byte{f.Raw}
	}
	switch {
	case b.is("forgets-replies") && m.Flags&wire.FlagReply != 0:
		m.Flags &^= wire.FlagReply
		return [][]byte{wire.AppendMessage(nil, &m)}
	case b.is("repeats") && m.Kind == wire.KindGroup:
		again := m
		again.Token = 0
		return [][]byte{f.Raw, wire.AppendMessage(nil, &again)}
	case b.is("misreads") && m.Format == shared.FormatMsgpack:
		m.Format = shared.FormatBinary
		return [][]byte{wire.AppendMessage(nil, &m)}
	case b.is("overtakes-in") && (string(m.Value) == "50" || string(m.Value) == "51"):
		return b.swap(f, uint64(m.Value[1]), '0')
	}
	return [][]byte{f.Raw}
}
