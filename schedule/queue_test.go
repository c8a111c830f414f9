package schedule

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/schedule/framework"
)

func queued(uid string, priority int32) *Pod {
	return framework.NewPod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid)}, Spec: corev1.PodSpec{Priority: ptr.To(priority)},
	})
}

// step is one call of the queue, at a second.
type step struct {
	at   int
	do   string // put, wake, pop, fit (popped, no node), err (popped, an error), remove
	pod  string
	prio int32
	want string // the uid that pop gives, "" for none
	next int    // the second of wakeAt after the step; 0: not checked
}

func TestQueue(t *testing.T) {
	cases := map[string][]step{
		"priority, then age": {
			{do: "put", pod: "a"}, {at: 1, do: "put", pod: "b", prio: 5}, {at: 2, do: "put", pod: "c"},
			{at: 3, do: "pop", want: "b"}, {at: 3, do: "pop", want: "a"}, {at: 3, do: "pop", want: "c"}, {at: 3, do: "pop"},
		},
		"no fit waits for an event": {
			{do: "put", pod: "a"}, {do: "fit", want: "a", next: 300}, {at: 100, do: "pop"},
			{at: 100, do: "wake"}, {at: 100, do: "pop", want: "a"},
		},
		"or for five minutes": {
			{do: "put", pod: "a"}, {do: "fit", want: "a", next: 300}, {at: 299, do: "pop"}, {at: 300, do: "pop", want: "a"},
		},
		"an event in the backoff: only when nothing is active": {
			{do: "put", pod: "a", prio: 9}, {do: "fit", want: "a"}, {do: "wake"}, {do: "put", pod: "b"},
			{do: "pop", want: "b"}, {do: "pop", want: "a"},
		},
		"an error waits for its backoff": {
			{do: "put", pod: "a"}, {do: "err", want: "a", next: 1}, {do: "wake"}, {do: "pop"},
			{at: 1, do: "err", want: "a", next: 3}, {at: 2, do: "pop"},
			{at: 3, do: "err", want: "a", next: 7}, {at: 7, do: "err", want: "a", next: 15},
			{at: 15, do: "err", want: "a", next: 25}, {at: 25, do: "err", want: "a", next: 35},
		},
		"removed": {
			{do: "put", pod: "a"}, {do: "put", pod: "b"}, {do: "remove", pod: "a"}, {do: "pop", want: "b"},
			{do: "put", pod: "b"}, {do: "fit", want: "b"}, {do: "remove", pod: "b"}, {do: "wake"}, {do: "pop"},
		},
		"a change of the spec brings it back": {
			{do: "put", pod: "a"}, {do: "fit", want: "a"}, {at: 2, do: "put", pod: "a"}, {at: 2, do: "pop"},
			{at: 2, do: "put", pod: "a", prio: 7}, {at: 2, do: "pop", want: "a"},
		},
		"a higher priority while active counts": {
			{do: "put", pod: "a"}, {at: 1, do: "put", pod: "b"}, {at: 2, do: "put", pod: "b", prio: 3},
			{at: 2, do: "pop", want: "b"}, {at: 2, do: "pop", want: "a"}, {at: 2, do: "pop"},
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			q, start := newQueue(), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
			for i, s := range steps {
				now := start.Add(time.Duration(s.at) * time.Second)
				if got := s.run(q, now); got != s.want {
					t.Fatalf("step %d, %+v: got %q", i, s, got)
				}
				if s.next != 0 && !q.wakeAt().Equal(start.Add(time.Duration(s.next)*time.Second)) {
					t.Errorf("step %d: wakes at %v, want %d s", i, q.wakeAt().Sub(start), s.next)
				}
			}
		})
	}
}

func (s step) run(q *queue, now time.Time) string {
	switch s.do {
	case "put":
		q.put(now, queued(s.pod, s.prio))
		return ""
	case "wake":
		q.wakeAll(now)
		return ""
	case "remove":
		q.remove(types.UID(s.pod))
		return ""
	}
	e := q.pop(now)
	if e == nil {
		return ""
	}
	if s.do != "pop" {
		q.failed(now, e, s.do == "fit")
	}
	return string(e.pod.UID)
}
