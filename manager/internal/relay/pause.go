package relay

import (
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// pause passes a pause or resume on to the source process that is meant, with the
// process that asks in its place. Two starts of the source are both told: either may
// have clients that send.
func (l *Link) pause(f wire.Frame) error {
	var p wire.Pause
	if err := p.Parse(f.Body); err != nil {
		return err
	}
	host, _ := l.r.host(int64(p.Client))
	told := false
	if host == l && l.reader.pauses.take(pausesASecond) {
		process := p.Process
		p.Process = l.launch.Process
		told = l.tell(process, len(f.Raw), func(dst []byte) []byte { return wire.AppendPause(dst, f.Type, &p) })
	}
	if !told {
		l.counters.strays.Add(1)
	}
	return nil
}

// pauseSender passes a pause or resume of a sender on to the process that has it.
func (l *Link) pauseSender(f wire.Frame) error {
	var p wire.SenderPause
	if err := p.Parse(f.Body); err != nil {
		return err
	}
	host, _ := l.r.host(int64(p.Client))
	if host == nil || p.Service != l.launch.Service || !l.reader.pauses.take(pausesASecond) {
		l.counters.strays.Add(1)
		return nil
	}
	l.pass(host, len(f.Raw), func(dst []byte) []byte { return wire.AppendSenderPause(dst, f.Type, &p) })
	return nil
}

// tell queues a pause for every start of a process that is up; false without one.
func (l *Link) tell(process uint16, size int, encode func([]byte) []byte) bool {
	if process > shared.MaxProcessID || l.r.links[process].Load() == nil {
		return false
	}
	for _, to := range *l.r.up.Load() {
		if to.launch.Process == process {
			l.pass(to, size, encode)
		}
	}
	return true
}

// pass queues a pause, which is dropped where there is no room: it would end by
// itself.
func (l *Link) pass(to *Link, size int, encode func([]byte) []byte) {
	if to.queue.Put(size, wire.Charge{}, encode) == nil {
		l.reader.out.mark(to)
	}
}
