package probe

import (
	"context"
	"sync"
	"time"
)

// Probe is one probe of a container.
type Probe struct {
	Kind   Kind
	Prober Prober
	// InitialDelay counts from the container's start.
	InitialDelay time.Duration
	// Period between probes. Zero means 10 s.
	Period time.Duration
	// SuccessThreshold and FailureThreshold are answers in a row. Zero means 1
	// and 3.
	SuccessThreshold, FailureThreshold int
	// Initial is the result to begin with, for a container that another agent
	// probed before. NoResult means that of [Initial].
	Initial Result
}

// Target is what to probe of one container, at most one probe of each kind.
type Target struct {
	// Start is when the container started: its probes are due at Start +
	// InitialDelay and then every Period.
	Start  time.Time
	Probes []Probe
	// Deliver is told each answer, in order for each probe. It is called from
	// the goroutine that asked and must return soon; it may call Set and
	// Remove. An answer on its way may still arrive when Remove has returned.
	Deliver func(Event)
}

// Options of a Scheduler. The zero value works.
type Options struct {
	// Parallel bounds the probes that run at once; the others wait in line.
	// Zero means 1024.
	Parallel int
}

// Scheduler probes the containers of a node. It costs one timer in all, armed
// only while something is due, and a goroutine for each probe only while it
// runs. All methods are safe for concurrent use.
//
// While a container has a startup probe that has not succeeded, its other
// probes wait; then readiness is asked at once. A probe that overruns its
// period is asked again when it ends, and falls back into its grid. Probing
// ends with a failed or successful startup (for the startup probe) and a failed
// liveness, until the container is set anew under another ID.
type Scheduler struct {
	parallel int
	wg       sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	targets map[string]*target
	queue   queue
	waiting []*entry // due, but Parallel probes run already
	running int
	timer   *time.Timer
	armed   time.Time // when timer fires; zero when it is stopped
}

// NewScheduler makes an idle scheduler. Close it.
func NewScheduler(o Options) *Scheduler {
	if o.Parallel < 1 {
		o.Parallel = 1024
	}
	return &Scheduler{parallel: o.Parallel, targets: map[string]*target{}}
}

// Set makes the probes of container id those of t. Probes of a kind that was
// there go on with their counts and their grid; others begin or end, and
// readiness that is added later begins at once. After Close it does nothing.
func (s *Scheduler) Set(id string, t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	old, known := s.targets[id]
	if !known {
		old = &target{id: id, entries: map[Kind]*entry{}}
		s.targets[id] = old
	}
	old.start, old.deliver = t.Start, t.Deliver
	keep := map[Kind]bool{}
	for _, p := range t.Probes {
		keep[p.Kind] = true
		if e := old.entries[p.Kind]; e != nil {
			e.probe = p.defaulted()
			continue
		}
		old.entries[p.Kind] = newEntry(old, p.defaulted())
	}
	for k, e := range old.entries {
		if !keep[k] {
			s.drop(e)
			delete(old.entries, k)
		}
	}
	s.plan(old, time.Now(), known)
	s.arm()
}

// Remove ends all probes of container id; one that runs is cancelled. An
// unknown id is fine.
func (s *Scheduler) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id)
	s.arm()
}

func (s *Scheduler) remove(id string) {
	t := s.targets[id]
	if t == nil {
		return
	}
	for _, e := range t.entries {
		s.drop(e)
	}
	delete(s.targets, id)
}

// Close ends all probes and waits for those that run. Close twice is nil. It
// must not be called from Deliver.
func (s *Scheduler) Close() error {
	s.mu.Lock()
	s.closed = true
	for id := range s.targets {
		s.remove(id)
	}
	s.arm()
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// fire is called by the timer: it starts what is due.
func (s *Scheduler) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = time.Time{}
	for now := time.Now(); ; {
		e := s.queue.due(now)
		if e == nil {
			break
		}
		s.begin(e)
	}
	s.arm()
}

func (s *Scheduler) begin(e *entry) {
	if s.running >= s.parallel {
		e.state = stateWaiting
		s.waiting = append(s.waiting, e)
		return
	}
	s.running++
	e.state = stateRunning
	s.wg.Go(func() { s.work(e) })
}

// work runs e and then, as long as some wait in line, the next one.
func (s *Scheduler) work(e *entry) {
	for e != nil {
		s.ask(e)
		e = s.next()
	}
}

func (s *Scheduler) next() *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 {
		e := s.waiting[0]
		s.waiting = s.waiting[1:]
		if !e.dropped {
			e.state = stateRunning
			return e
		}
	}
	s.waiting = nil
	s.running--
	return nil
}

// ask runs one probe, tells its answer, and puts the probe back in the queue.
func (s *Scheduler) ask(e *entry) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	s.mu.Lock()
	if e.dropped {
		s.mu.Unlock()
		return
	}
	e.cancel = cancel
	p := e.probe
	s.mu.Unlock()

	out, message, err := Run(ctx, p.Prober)
	ev := Event{ID: e.target.id, Kind: p.Kind, At: began, Took: time.Since(began), Outcome: out, Message: message, Err: err}
	deliver, ok := s.answered(e, &ev)
	if ok && deliver != nil {
		deliver(ev)
	}
	s.settle(e, began)
}

// answered counts the answer; ok is false for a probe that was dropped.
func (s *Scheduler) answered(e *entry, ev *Event) (deliver func(Event), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.cancel = nil
	if e.dropped {
		return nil, false
	}
	before := e.tracker.Result()
	if ev.Err == nil {
		e.tracker, ev.Decided = e.tracker.Add(ev.Outcome)
	}
	ev.Result, ev.Run = e.tracker.Result(), e.tracker.Run()
	ev.Changed = ev.Result != before
	return e.target.deliver, true
}

// settle plans the next probe once the answer was told.
func (s *Scheduler) settle(e *entry, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.state = stateIdle
	if e.dropped {
		return
	}
	now := time.Now()
	e.due = e.after(began)
	opened := e.probe.Kind == Startup && e.tracker.Done() && e.tracker.Result() == Good
	s.plan(e.target, now, opened)
	s.arm()
}

// plan queues every probe of t that may run and is not queued yet; opened says
// that something just made way for those that begin.
func (s *Scheduler) plan(t *target, now time.Time, opened bool) {
	gated := t.gated()
	for k, e := range t.entries {
		if e.state != stateIdle || e.tracker.Done() || gated && k != Startup {
			continue
		}
		if e.due.IsZero() {
			e.due = e.first(now, opened)
		}
		s.queue.push(e)
	}
}

// drop takes e out of wherever it is.
func (s *Scheduler) drop(e *entry) {
	e.dropped = true
	if e.state == stateQueued {
		s.queue.remove(e)
	}
	if e.cancel != nil {
		e.cancel()
	}
}

// arm sets the timer to the first probe that is due, or stops it.
func (s *Scheduler) arm() {
	if len(s.queue) == 0 {
		if s.timer != nil {
			s.timer.Stop()
		}
		s.armed = time.Time{}
		return
	}
	at := s.queue[0].due
	if at.Equal(s.armed) {
		return
	}
	s.armed = at
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(at), s.fire)
		return
	}
	s.timer.Reset(time.Until(at))
}
