package socket

import (
	"bytes"
	"errors"
	"slices"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// leftCost is what a message of a source that is asleep costs beside its bytes.
const leftCost = 64

// stays reports whether the source is this process's alone. The caller holds slot.mu.
func (src *source) stays() bool { return !src.given && (!src.asleep || src.resumed) }

// queue keeps a message of a source that is asleep, and reports whether it is, and
// whether there was room for it. The bound is that of incomplete messages.
func (src *source) queue(payload []byte) (asleep, kept bool) {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if !src.asleep {
		return false, false
	}
	if kept = src.slot.service.partial.take(len(payload) + leftCost); kept {
		src.left = append(src.left, bytes.Clone(payload))
	}
	return true, kept
}

// resume has the source's messages taken from now on, what has waited first. It does not
// block.
func (src *source) resume() {
	src.slot.mu.Lock()
	src.resumed = true
	src.slot.mu.Unlock()
	src.wake()
}

// wake begins to take what has waited, unless the slot is about to move.
func (src *source) wake() {
	s := src.slot.service
	s.mu.Lock()
	ok := s.beginLocked()
	s.mu.Unlock()
	if !ok {
		return
	}
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if src.waking != nil || !src.waitsLocked() {
		s.tasks.Done()
		return
	}
	src.waking = make(chan struct{})
	go src.receiveLeft()
}

// waitsLocked reports whether something is to be taken before what the slot's reader
// brings, and by whom: by the next process when the slot moves. The caller holds slot.mu.
func (src *source) waitsLocked() bool {
	if len(src.left) == 0 {
		src.left, src.asleep = nil, false
	}
	return src.asleep && src.resumed && !src.slot.moving
}

// receiveLeft takes what has waited; the slot's reader adds to it meanwhile.
func (src *source) receiveLeft() {
	s := src.slot.service
	defer s.tasks.Done()
	for m := src.firstLeft(); m != nil; m = src.firstLeft() {
		err := s.received(src.client, src.address, m)
		switch {
		case errors.Is(err, plugin.ErrMoved):
			s.pause(retryMoved)
		case err != nil:
			src.release()
		default:
			src.client.Flush()
			src.dropFirst()
		}
	}
}

// firstLeft is the next message to be taken; nil ends who asks.
func (src *source) firstLeft() []byte {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if !src.waitsLocked() || !src.slot.service.isServing() {
		close(src.waking)
		src.waking = nil
		return nil
	}
	return src.left[0]
}

// waiting is what would be taken before the next datagram.
func (src *source) waiting() [][]byte {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	return slices.Clone(src.left)
}

// dropFirst takes off what was taken.
func (src *source) dropFirst() {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if len(src.left) > 0 { // else it was released
		src.slot.service.partial.give(len(src.left[0]) + leftCost)
		src.left = src.left[1:]
	}
}

// release gives back what waits for a source that ends, and counts what is lost with it.
func (src *source) release() {
	src.slot.mu.Lock()
	lost := src.ownLeft()
	for _, m := range src.left {
		src.slot.service.partial.give(len(m) + leftCost)
	}
	src.left, src.asleep = nil, false
	src.slot.mu.Unlock()
	if lost > 0 {
		src.slot.service.host.CountDrop(shared.CodeShuttingDown, lost)
	}
}

// ownLeft is how many of the messages that wait are this process's alone: not those that
// another one has given and may still have, or was given. The caller holds slot.mu.
func (src *source) ownLeft() int {
	switch {
	case src.given:
		return 0
	case !src.resumed:
		return len(src.left) - src.brought
	}
	return len(src.left)
}
