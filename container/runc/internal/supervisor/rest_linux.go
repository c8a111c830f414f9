package supervisor

import "sync"

// rest counts the work under way that an upgrade must not cut in two: the calls
// of agents, what is read from and sent to them, ends of containers. What merely
// waits for a process to end is not counted. Its zero value is ready.
type rest struct {
	mu    sync.Mutex
	busy  int
	round *round // nil unless rest was asked for
	ended func() // called after each piece of work; nil is nothing
}

// round is one time that rest was asked for.
type round struct {
	still chan struct{} // closed when nothing is under way; nothing begins then
	over  chan struct{} // closed when work goes on
	reach bool          // still is closed
}

// begin counts a piece of work. Where all is still, it waits: for ever, if
// another program goes on in this process.
func (r *rest) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.round != nil && r.round.reach {
		over := r.round.over
		r.mu.Unlock()
		<-over
		r.mu.Lock()
	}
	r.busy++
}

// add counts a piece of work that begins later, and never waits.
func (r *rest) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy++
}

func (r *rest) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	r.settle()
	if r.ended != nil {
		r.ended()
	}
}

// settle sees whether all is still. r.mu is held.
func (r *rest) settle() {
	if r.round != nil && !r.round.reach && r.busy == 0 {
		r.round.reach = true
		close(r.round.still)
	}
}

// park is for work that goes on without end, between two pieces of it: it
// returns when no rest is asked for.
func (r *rest) park() {
	r.mu.Lock()
	asked := r.round
	r.mu.Unlock()
	if asked == nil {
		return
	}
	r.end()
	<-asked.over
	r.begin()
}

// ask asks for rest, which has come when the result is closed.
func (r *rest) ask() (still <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.round = &round{still: make(chan struct{}), over: make(chan struct{})}
	r.settle()
	return r.round.still
}

// resume ends the rest.
func (r *rest) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.round.over)
	r.round = nil
}
