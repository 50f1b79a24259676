package main

import (
	"os"
	"time"
)

// noise measures how long this machine makes two goroutines of an idle program wait
// that wake each other through a pipe: what a stall cannot be told from.
type noise struct {
	done chan struct{}
	most chan time.Duration
}

const (
	noiseEvery = 2 * time.Millisecond
	// hops is how many such waits are in one message through the server.
	hops = 4
)

func startNoise() *noise {
	n := &noise{done: make(chan struct{}), most: make(chan time.Duration, 1)}
	r, w, err := os.Pipe()
	if err != nil {
		close(n.most)
		return n
	}
	wrote := make(chan time.Time, 1)
	go func() {
		defer w.Close()
		for {
			select {
			case <-n.done:
				return
			case <-time.After(noiseEvery):
			}
			wrote <- time.Now()
			if _, err := w.Write([]byte{1}); err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(n.most)
		defer r.Close()
		var most time.Duration
		for b := make([]byte, 1); ; {
			if _, err := r.Read(b); err != nil {
				n.most <- most
				return
			}
			most = max(most, time.Since(<-wrote))
		}
	}()
	return n
}

// stop returns the longest wait.
func (n *noise) stop() time.Duration {
	close(n.done)
	return <-n.most
}
