package launch

import (
	"io"
	"sync"
)

// printed takes one of the streams of go-plugin's stdio service: there os.Stdout and
// os.Stderr of a plugin go that does not take them back once it serves. The reader is started with the
// first byte, since most plugins never print.
type printed struct {
	out func(io.Reader)

	mu     sync.Mutex
	pipe   *io.PipeWriter
	closed bool
	reader sync.WaitGroup
}

// Write blocks until the reader has taken p, which holds back this plugin's stdio
// stream alone.
func (p *printed) Write(b []byte) (int, error) {
	pipe := p.open()
	if pipe == nil {
		return len(b), nil
	}
	return pipe.Write(b)
}

func (p *printed) open() *io.PipeWriter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.out == nil {
		return nil
	}
	if p.pipe == nil {
		r, w := io.Pipe()
		p.pipe = w
		p.reader.Go(func() { consume(r, p.out) })
	}
	return p.pipe
}

// close ends the reader's input; what is written from now on is discarded.
func (p *printed) close() {
	p.mu.Lock()
	p.closed = true
	pipe := p.pipe
	p.mu.Unlock()
	if pipe != nil {
		pipe.Close()
	}
}

// wait returns when the reader is gone. It is called after close.
func (p *printed) wait() { p.reader.Wait() }
