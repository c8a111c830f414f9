package local

import (
	"slices"
	"strings"
	"time"
)

// The phases of a pod's start, in the order of the account of pod creation.
const (
	PhaseAPI           = "API processing" // admission, up to the stored pod
	PhaseScheduling    = "scheduling"
	PhaseNodeAdmission = "node admission"
	PhaseImage         = "image"   // of each container: the look for it and the pull
	PhaseSandbox       = "sandbox" // the pod's cgroup and namespaces, without the network
	PhaseNetwork       = "network"
	PhaseVolumes       = "volumes"
	PhaseCreate        = "create" // each container
	PhaseStart         = "start"  // each container, with its postStart hook
	PhaseProbes        = "probes" // each container that has any: from its start to ready
	PhaseReady         = "Ready"  // all of it: from the request to Ready
)

var phaseOrder = []string{
	PhaseAPI, PhaseScheduling, PhaseNodeAdmission, PhaseImage, PhaseSandbox, PhaseNetwork,
	PhaseVolumes, PhaseCreate, PhaseStart, PhaseProbes, PhaseReady,
}

// within says to which phase a span belongs. Spans of other names are finer than
// phases, or belong to no start.
var within = map[string]string{
	PhaseAPI: PhaseAPI, PhaseScheduling: PhaseScheduling, PhaseNodeAdmission: PhaseNodeAdmission,
	"CheckImage": PhaseImage, "PullImage": PhaseImage,
	"EnsureCgroup": PhaseSandbox, "CreateSandbox": PhaseSandbox, "cri/network": PhaseNetwork,
	"SetUpVolumes":   PhaseVolumes,
	"StartContainer": PhaseCreate, "cri/start": PhaseStart, "RunPostStart": PhaseStart,
	PhaseProbes: PhaseProbes, PhaseReady: PhaseReady,
}

// holds are the phases inside whose CRI call another lies.
var holds = map[string]string{PhaseSandbox: PhaseNetwork, PhaseCreate: PhaseStart}

// Phase is one phase of a pod's start.
type Phase struct {
	// Name is one of the constants. Over a remote CRI what happens inside a call is
	// not known, and the phases that it holds are one: "create, start".
	Name string `json:"name"`
	// Container whose phase it is; empty for the pod's own.
	Container string `json:"container,omitempty"`
	// Parts are when it was at work, in order and apart from one another: a pull
	// that was tried again has two.
	Parts []Part `json:"parts"`
	// Error is why the last part failed, empty after success.
	Error string `json:"error,omitempty"`
	// Open says that it was under way at the time that Phases was asked for.
	Open bool `json:"open,omitempty"`
}

// Part is one stretch of time.
type Part struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Took is how long the phase was at work.
func (p Phase) Took() time.Duration {
	var sum time.Duration
	for _, s := range p.Parts {
		sum += s.End.Sub(s.Start)
	}
	return sum
}

// Phases makes the phases of a start of its spans: in the account's order, those
// of containers in the order in which these began. What happened after the pod
// was Ready is no part of its start. Spans under way are counted up to now.
func Phases(spans []Span, now time.Time) []Phase {
	rows := map[[2]string]*Phase{}
	var order []*Phase
	inside := inProcess(spans)
	for _, s := range ofStart(spans) {
		key := [2]string{phaseOf(s.Name, inside), s.Container}
		row := rows[key]
		if row == nil {
			row = &Phase{Name: key[0], Container: key[1]}
			rows[key], order = row, append(order, row)
		}
		row.add(s, now)
	}
	tellApart(rows, inside)
	slices.SortStableFunc(order, func(a, b *Phase) int { return a.rank() - b.rank() })
	out := make([]Phase, len(order))
	for i, p := range order {
		out[i] = *p
	}
	return out
}

// phaseOf is the phase that a span belongs to, or the one that holds that when
// what is inside calls is not known.
func phaseOf(span string, inside bool) string {
	phase := within[span]
	for outer, inner := range holds {
		if inner == phase && !inside {
			return outer
		}
	}
	return phase
}

// ofStart are the spans that belong to phases, by the time they began.
func ofStart(spans []Span) []Span {
	var ready time.Time
	if i := slices.IndexFunc(spans, func(s Span) bool { return s.Name == PhaseReady }); i >= 0 {
		ready = spans[i].End
	}
	spans = slices.DeleteFunc(slices.Clone(spans), func(s Span) bool {
		return within[s.Name] == "" || !ready.IsZero() && s.Start.After(ready)
	})
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans
}

// inProcess tells whether the CRI runtime let its phases be seen.
func inProcess(spans []Span) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return strings.HasPrefix(s.Name, "cri/") })
}

// tellApart takes the phases that lie inside others out of them, so that no
// moment counts twice, or names these for both when they cannot be told apart.
func tellApart(rows map[[2]string]*Phase, inside bool) {
	for key, row := range rows {
		name := holds[key[0]]
		inner := rows[[2]string{name, key[1]}]
		switch {
		case name == "":
		case !inside:
			row.Name += ", " + name
		case inner != nil:
			row.Parts = without(row.Parts, inner.Parts, name == PhaseStart)
			row.Open = row.Open && !inner.Open
			if inner.Error != "" {
				row.Error = ""
			}
		}
	}
}

// add joins a span that began no earlier than the others.
func (p *Phase) add(s Span, now time.Time) {
	p.Error, p.Open = s.Error, p.Open || s.End.IsZero()
	if s.End.IsZero() {
		s.End = now
	}
	part := Part{s.Start, s.End}
	if n := len(p.Parts); n > 0 && !part.Start.After(p.Parts[n-1].End) {
		if part.End.After(p.Parts[n-1].End) {
			p.Parts[n-1].End = part.End
		}
		return
	}
	p.Parts = append(p.Parts, part)
}

func (p *Phase) rank() int {
	name, _, _ := strings.Cut(p.Name, ", ")
	return slices.Index(phaseOrder, name)
}

// without cuts holes into parts; both are in order. With last, a hole is the last
// that happens in its part.
func without(parts, holes []Part, last bool) []Part {
	var out []Part
	for _, p := range parts {
		for _, h := range holes {
			if !h.End.After(p.Start) || !h.Start.Before(p.End) {
				continue
			}
			if h.Start.After(p.Start) {
				out = append(out, Part{p.Start, h.Start})
			}
			if p.Start = h.End; last {
				p.Start = p.End
			}
		}
		if p.End.After(p.Start) {
			out = append(out, p)
		}
	}
	return out
}

// Together puts the phases of all containers that have one name into one.
func Together(phases []Phase) []Phase {
	var out []Phase
	for _, p := range phases {
		if n := len(out); n == 0 || out[n-1].Name != p.Name {
			p.Container = ""
			out = append(out, p)
			continue
		}
		last := &out[len(out)-1]
		last.Parts = union(last.Parts, p.Parts)
		last.Open = last.Open || p.Open
		if p.Error != "" {
			last.Error = p.Error
		}
	}
	return out
}

// union joins two lists of parts.
func union(a, b []Part) []Part {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b Part) int { return a.Start.Compare(b.Start) })
	var p Phase
	for _, part := range all {
		p.add(Span{Start: part.Start, End: part.End}, part.End)
	}
	return p.Parts
}
