package probe

import (
	"math/rand/v2"
	"testing"
)

func TestTracker(t *testing.T) {
	for name, c := range map[string]struct {
		kind             Kind
		success, failure int
		initial          Result
		answers          string // s, f, w(arning), u(nknown)
		results          string // after each: g(ood), b(ad), n(o result); upper case when decided
		done             bool
	}{
		"a container is alive until three failures in a row": {Liveness, 0, 0, NoResult, "ffsfff", "ggGggB", true},
		"and is not ready until one success":                 {Readiness, 0, 0, NoResult, "fsfffs", "bGggBG", false},
		"success threshold of readiness":                     {Readiness, 3, 1, NoResult, "ssfsss", "bbBbbG", false},
		"a warning is a success":                             {Readiness, 0, 0, NoResult, "w", "G", false},
		"warning and success are one run":                    {Readiness, 2, 0, NoResult, "ws", "bG", false},
		"no answer counts neither way":                       {Liveness, 0, 2, NoResult, "fuf", "ggB", true},
		"startup is decided once":                            {Startup, 0, 2, NoResult, "fsff", "nGgg", true},
		"startup fails once":                                 {Startup, 0, 2, NoResult, "ffss", "nBbb", true},
		"dead stays dead":                                    {Liveness, 0, 1, NoResult, "fsss", "Bbbb", true},
		"readiness goes on after failing":                    {Readiness, 0, 1, NoResult, "fsf", "BGB", false},
		"another agent saw it ready":                         {Readiness, 0, 2, Good, "fsff", "gGgB", false},
		"another agent saw it start":                         {Startup, 0, 1, Good, "ff", "gg", true},
		"negative thresholds are defaults":                   {Readiness, -1, -1, NoResult, "sfff", "GggB", false},
	} {
		tr := NewTracker(c.kind, c.success, c.failure, c.initial)
		var got string
		for _, a := range c.answers {
			before := tr
			next, decided := tr.Add(map[rune]Outcome{'s': Success, 'f': Failure, 'w': Warning, 'u': Unknown}[a])
			if before != tr {
				t.Errorf("%s: Add changed its receiver", name)
			}
			tr = next
			letter := map[Result]string{Good: "g", Bad: "b", NoResult: "n"}[tr.Result()]
			if decided {
				letter = map[Result]string{Good: "G", Bad: "B"}[tr.Result()]
			}
			got += letter
		}
		if got != c.results || tr.Done() != c.done {
			t.Errorf("%s: %s gives %s done %v, want %s %v", name, c.answers, got, tr.Done(), c.results, c.done)
		}
	}
}

// A plain model beside the tracker: the last threshold answers decide.
func TestTrackerModel(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		kind := Kind(r.IntN(3))
		success, failure := 1+r.IntN(3), 1+r.IntN(4)
		tr := NewTracker(kind, success, failure, NoResult)
		want, done := Initial(kind), false
		var seen []Outcome
		for range 40 {
			o := []Outcome{Success, Failure, Unknown}[r.IntN(3)]
			tr, _ = tr.Add(o)
			if o != Unknown && !done {
				seen = append(seen, o)
				if same(seen, Success, success) {
					want = Good
					done = kind == Startup
				}
				if same(seen, Failure, failure) {
					want = Bad
					done = kind != Readiness
				}
			}
			if tr.Result() != want || tr.Done() != done {
				t.Fatalf("seed %d: %v of %v gives %v done %v, want %v %v", seed, kind, seen, tr.Result(), tr.Done(), want, done)
			}
		}
	}
}

func same(seen []Outcome, o Outcome, n int) bool {
	if len(seen) < n {
		return false
	}
	for _, s := range seen[len(seen)-n:] {
		if s != o {
			return false
		}
	}
	return true
}

func TestReports(t *testing.T) {
	for want, e := range map[string]Event{
		"Unhealthy/Liveness probe failed: sick":                                    {Kind: Liveness, Outcome: Failure, Message: "sick"},
		"Unhealthy/Readiness probe failed: ":                                       {Kind: Readiness, Outcome: Failure},
		"ProbeWarning/Startup probe warning: moved":                                {Kind: Startup, Outcome: Warning, Message: "moved"},
		"Unhealthy/Readiness probe errored and resulted in failure state: cut off": {Kind: Readiness, Outcome: Failure, Err: errCut},
		"/": {Kind: Liveness, Outcome: Success, Message: "fine"},
	} {
		if reason, message := e.Report(); reason+"/"+message != want {
			t.Errorf("got %s/%s, want %s", reason, message, want)
		}
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]string{
		"Liveness": Liveness.String(), "Readiness": Readiness.String(), "Startup": Startup.String(), "Kind(7)": Kind(7).String(),
		"UNKNOWN": NoResult.String(), "Success": Good.String(), "Failure": Bad.String(), "Result(9)": Result(9).String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
