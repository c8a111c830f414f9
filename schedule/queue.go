package schedule

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/pod"
)

// The queue's times, as in Kubernetes.
const (
	initialBackoff = time.Second
	maxBackoff     = 10 * time.Second
	// flushAfter brings back a pod for which no event came.
	flushAfter = 5 * time.Minute
)

// place is where in the queue a pod is.
type place int

const (
	active        place = iota // may be tried now
	backingOff                 // may be tried at ready, or when nothing is active
	erring                     // may be tried at ready, not before
	unschedulable              // waits for an event, or for flushAfter
)

type entry struct {
	pod      *Pod
	place    place
	since    time.Time // when it came to this place
	attempts int
	ready    time.Time // end of the backoff
}

// queue holds the pods that have no node. It decides in values: every method that
// depends on time takes it. It is not safe for concurrent use.
type queue struct {
	entries map[types.UID]*entry
	active  heapOf    // may hold entries that have left; they are skipped
	due     time.Time // no entry moves by time alone before
	backing int       // entries that back off
}

func newQueue() *queue { return &queue{entries: map[types.UID]*entry{}} }

// heapOf orders active entries.
type heapOf []*entry

func (h heapOf) Len() int           { return len(h) }
func (h heapOf) Less(i, j int) bool { return h[i].before(h[j]) }
func (h heapOf) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heapOf) Push(x any)        { *h = append(*h, x.(*entry)) }
func (h *heapOf) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// set brings e to a place.
func (q *queue) set(e *entry, to place, since time.Time) {
	if e.place == backingOff {
		q.backing--
	}
	e.place, e.since = to, since
	switch to {
	case active:
		heap.Push(&q.active, e)
		return
	case backingOff:
		q.backing++
	}
	if at := e.due(); q.due.IsZero() || at.Before(q.due) {
		q.due = at
	}
}

// due is when e moves by time alone.
func (e *entry) due() time.Time {
	if e.place == unschedulable {
		return e.since.Add(flushAfter)
	}
	return e.ready
}

// put adds a pod, or replaces one. A change of what a decision looks at brings it
// back; one of the status alone does not.
func (q *queue) put(now time.Time, p *Pod) {
	old, ok := q.entries[p.UID]
	if !ok {
		e := &entry{pod: p}
		q.entries[p.UID] = e
		q.set(e, active, now)
		return
	}
	changed := !equality.Semantic.DeepEqual(old.pod.Spec, p.Spec) || !equality.Semantic.DeepEqual(old.pod.Labels, p.Labels)
	if old.place == active && changed { // its priority may be another
		q.remove(p.UID)
		e := &entry{pod: p, attempts: old.attempts, ready: old.ready}
		q.entries[p.UID] = e
		q.set(e, active, old.since)
		return
	}
	old.pod = p
	if changed && old.place == unschedulable {
		q.wake(old, now)
	}
}

func (q *queue) remove(uid types.UID) {
	e, ok := q.entries[uid]
	if !ok {
		return
	}
	if e.place == backingOff {
		q.backing--
	}
	delete(q.entries, uid)
}

// pop takes the next pod out: active ones by priority and age, then pods that only
// back off. It returns nil when none may be tried.
func (q *queue) pop(now time.Time) *entry {
	q.advance(now)
	for len(q.active) > 0 {
		e := heap.Pop(&q.active).(*entry)
		if q.entries[e.pod.UID] == e && e.place == active {
			delete(q.entries, e.pod.UID)
			return e
		}
	}
	if q.backing == 0 {
		return nil
	}
	var next *entry
	for _, e := range q.entries {
		if e.place == backingOff && (next == nil || e.before(next)) {
			next = e
		}
	}
	q.remove(next.pod.UID)
	next.place = active
	return next
}

func (e *entry) before(o *entry) bool {
	if e.place != o.place {
		return e.place < o.place
	}
	if e.place == backingOff && !e.ready.Equal(o.ready) {
		return e.ready.Before(o.ready)
	}
	if a, b := pod.Priority(e.pod.Pod), pod.Priority(o.pod.Pod); a != b {
		return a > b
	}
	if !e.since.Equal(o.since) {
		return e.since.Before(o.since)
	}
	return e.pod.UID < o.pod.UID
}

// failed brings a popped pod back: for it no node was found, or an error came up.
func (q *queue) failed(now time.Time, e *entry, noFit bool) {
	q.remove(e.pod.UID)
	e.attempts++
	e.ready = now.Add(backoff(e.attempts))
	q.entries[e.pod.UID] = e
	to := erring
	if noFit {
		to = unschedulable
	}
	q.set(e, to, now)
}

// backoff is 1 s, 2 s, 4 s, 8 s, then 10 s.
func backoff(attempts int) time.Duration {
	if attempts > 4 {
		return maxBackoff
	}
	return initialBackoff << (attempts - 1)
}

// wakeAll is for events that may make room: what waits may be tried again.
func (q *queue) wakeAll(now time.Time) {
	for _, e := range q.entries {
		if e.place == unschedulable {
			q.wake(e, now)
		}
	}
}

func (q *queue) wake(e *entry, now time.Time) {
	if now.Before(e.ready) {
		q.set(e, backingOff, now)
		return
	}
	q.set(e, active, now)
}

// advance moves what has waited long enough.
func (q *queue) advance(now time.Time) {
	if q.due.IsZero() || now.Before(q.due) {
		return
	}
	q.due = time.Time{}
	for _, e := range q.entries {
		switch {
		case e.place == active:
		case now.Before(e.due()):
			if q.due.IsZero() || e.due().Before(q.due) {
				q.due = e.due()
			}
		case e.place == unschedulable:
			q.wake(e, now)
		default:
			q.set(e, active, e.ready)
		}
	}
}

// wakeAt is a time by which pop is to be asked again; zero when nothing waits for
// time.
func (q *queue) wakeAt() time.Time {
	if len(q.entries) == 0 {
		q.due = time.Time{}
	}
	return q.due
}
