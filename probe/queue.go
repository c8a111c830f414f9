package probe

import (
	"container/heap"
	"context"
	"time"
)

type target struct {
	id      string
	start   time.Time
	deliver func(Event)
	entries map[Kind]*entry
}

// gated says that a startup probe still holds the others back.
func (t *target) gated() bool {
	e := t.entries[Startup]
	return e != nil && e.tracker.Result() != Good
}

type state int

const (
	stateIdle state = iota
	stateQueued
	stateWaiting
	stateRunning
)

// entry is one probe of a target. The scheduler's lock guards it.
type entry struct {
	target  *target
	probe   Probe
	tracker Tracker
	// grid is one of the times at which the probe is due; the others lie whole
	// periods from it.
	grid time.Time
	// due is the next one; zero before the first.
	due     time.Time
	state   state
	index   int // in the queue
	dropped bool
	cancel  context.CancelFunc // while it runs
}

func (p Probe) defaulted() Probe {
	if p.Period <= 0 {
		p.Period = 10 * time.Second
	}
	return p
}

func newEntry(t *target, p Probe) *entry {
	return &entry{target: t, probe: p, tracker: NewTracker(p.Kind, p.SuccessThreshold, p.FailureThreshold, p.Initial)}
}

// first is when the first probe is due: at start + delay, or at once when that
// was less than a period ago or the startup probe just opened the way for
// readiness; else at the next point of the grid.
//
// The grid carries now's monotonic reading, so that a step of the wall clock
// moves no probe.
func (e *entry) first(now time.Time, opened bool) time.Time {
	ago := max(0, now.Sub(e.target.start))
	e.grid = now.Add(e.probe.InitialDelay - ago)
	switch late := now.Sub(e.grid); {
	case late <= 0:
		return e.grid
	case opened && e.probe.Kind == Readiness:
		e.grid = now
		return now
	case !opened && late < e.probe.Period:
		return e.grid
	}
	return e.after(now)
}

// after is the first time of the grid after t.
func (e *entry) after(t time.Time) time.Time {
	if t.Before(e.grid) {
		return e.grid
	}
	n := t.Sub(e.grid) / e.probe.Period
	return e.grid.Add((n + 1) * e.probe.Period)
}

// queue is a heap of entries, the one that is due first on top.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for package heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

func (q *queue) push(e *entry) {
	e.state = stateQueued
	heap.Push(q, e)
}

func (q *queue) remove(e *entry) {
	heap.Remove(q, e.index)
	e.state = stateIdle
}

// due takes the first entry off that is due at now, or returns nil.
func (q *queue) due(now time.Time) *entry {
	if len(*q) == 0 || (*q)[0].due.After(now) {
		return nil
	}
	e := heap.Pop(q).(*entry)
	e.state = stateIdle
	return e
}
