package socket

import (
	"bytes"
	"errors"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// leftCost is what a message of a source that is asleep costs beside its bytes.
const leftCost = 64

// stays reports whether the source is this process's alone. The caller holds slot.mu.
func (src *source) stays() bool { return !src.given && !src.asleep }

// queue keeps a message of a source that is asleep, and reports whether it is. The bound
// is that of incomplete messages.
func (src *source) queue(payload []byte) bool {
	s := src.slot.service
	src.slot.mu.Lock()
	asleep := src.asleep
	kept := asleep && s.partial.take(len(payload)+leftCost)
	if kept {
		src.left = append(src.left, bytes.Clone(payload))
	}
	src.slot.mu.Unlock()
	if asleep && !kept {
		s.host.CountDrop(shared.CodeOverloaded, 1)
	}
	return asleep
}

// wake has the source's messages taken from now on, what has waited first. It does not
// block.
func (src *source) wake() {
	s := src.slot.service
	if src.awake() {
		return
	}
	s.mu.Lock()
	ok := s.beginLocked()
	s.mu.Unlock()
	if ok {
		go src.receiveLeft()
	}
}

// awake reports whether nothing is left to be taken before what the slot's reader brings.
func (src *source) awake() bool {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if len(src.left) == 0 {
		src.left, src.asleep = nil, false
	}
	return !src.asleep
}

// receiveLeft takes what has waited; the slot's reader adds to it meanwhile.
func (src *source) receiveLeft() {
	s := src.slot.service
	defer s.tasks.Done()
	for !src.awake() {
		m := src.firstLeft()
		err := s.received(src.client, src.address, m)
		for errors.Is(err, plugin.ErrMoved) && s.pause(retryMoved) {
			err = s.received(src.client, src.address, m)
		}
		if err != nil {
			src.release()
			return
		}
		src.client.Flush()
	}
}

// firstLeft takes one message off.
func (src *source) firstLeft() (m []byte) {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	if len(src.left) > 0 {
		m = src.left[0]
		src.left = src.left[1:]
		src.slot.service.partial.give(len(m) + leftCost)
	}
	return m
}

// release gives back what waits for a source that ends.
func (src *source) release() {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	for _, m := range src.left {
		src.slot.service.partial.give(len(m) + leftCost)
	}
	src.left, src.asleep = nil, false
}
