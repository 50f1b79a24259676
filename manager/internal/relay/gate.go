package relay

// enter is called by the reader of l before it handles a frame, exit before it reads
// or writes; in between nothing is cut. A cut that waits goes first: a busy reader
// would keep it from the gate for long.
func (l *Link) enter() {
	if l.r.cutting.Load() {
		l.exit()
		l.r.awaitCut()
	}
	if !l.reader.inside {
		l.gate.Lock()
		l.reader.inside = true
		if l.r.asleep.Load() {
			l.r.now() // nobody else looks at the clock
		}
	}
}

// awaitCut returns when the cut that is made now is over.
func (r *Router) awaitCut() {
	r.cut.Lock()
	defer r.cut.Unlock()
}

func (l *Link) exit() {
	if l.reader.inside {
		l.reader.inside = false
		l.gate.Unlock()
	}
}

// halt stops all readers between two frames, and links from coming up, until the
// function it returns is called. The caller holds no lock; readers take r.mu behind
// their gate, so r.mu comes after halt.
func (r *Router) halt() (resume func()) {
	r.cut.Lock()
	r.cutting.Store(true)
	up := *r.up.Load() // who comes up waits for cut; who goes down routes nothing more
	for _, l := range up {
		l.gate.Lock()
	}
	return func() {
		for _, l := range up {
			l.gate.Unlock()
		}
		r.cutting.Store(false)
		r.cut.Unlock()
	}
}
