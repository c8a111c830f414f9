package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lifepod/lifepod/schedule/framework"
)

// Decision is a node for a pod.
type Decision struct {
	Node string
	// Feasible is how many nodes could have taken it, Of how many there are.
	Feasible, Of int
	// Score is the node's weighted sum; 0 when it was the only one, since then
	// nothing is scored.
	Score int64
}

// Decide chooses a node. Of several best ones tie draws: it gets their number and
// returns an index below it; nil takes the first. When no node can take the pod
// the error is a *FitError. Decide changes nothing and may run many times at once.
func (f Profile) Decide(s Snapshot, p *Pod, tie func(n int) int) (Decision, error) {
	d := Decision{Of: len(s.Nodes)}
	feasible, fit := f.filter(s, p)
	d.Feasible = len(feasible)
	switch len(feasible) {
	case 0:
		return d, fit
	case 1:
		d.Node = feasible[0].Name
		return d, nil
	}
	totals := make([]int64, len(feasible))
	f.score(p, feasible, func(_ int, weight int64, _, scores []int64) {
		for i, s := range scores {
			totals[i] += weight * s
		}
	})
	best := bestOf(totals)
	chosen := best[0]
	if len(best) > 1 && tie != nil {
		chosen = best[tie(len(best))]
	}
	d.Node, d.Score = feasible[chosen].Name, totals[chosen]
	return d, nil
}

// bestOf returns the indexes of the highest totals.
func bestOf(totals []int64) []int {
	var best []int
	top := slices.Max(totals)
	for i, t := range totals {
		if t == top {
			best = append(best, i)
		}
	}
	return best
}

// filter returns the nodes that can take p, and what to say if there are none.
func (f Profile) filter(s Snapshot, p *Pod) ([]*Node, *FitError) {
	fit := &FitError{Nodes: len(s.Nodes), reasons: map[string]int{}}
	filters, only, by := f.prepare(p)
	if r := by.reject; r != nil {
		fit.All = r.Reasons
		return nil, fit
	}
	feasible := make([]*Node, 0, len(s.Nodes))
	for _, n := range s.Nodes {
		if only != nil && !only[n.Name] {
			fit.reasons[notAmong(by.names)]++
			continue
		}
		if r := firstRejection(filters, n); r != nil {
			for _, reason := range r.Reasons {
				fit.reasons[reason]++
			}
			continue
		}
		feasible = append(feasible, n)
	}
	return feasible, fit
}

func firstRejection(filters []framework.Filter, n *Node) *Rejection {
	for i := range filters {
		if r := filters[i].Node(n); r != nil {
			return r
		}
	}
	return nil
}

// narrowed tells which plugins limited or rejected a pod beforehand.
type narrowed struct {
	names  []string
	reject *Rejection
	plugin string
}

// prepare asks the plugins about the pod as such. The filters are those that
// have something to say about nodes.
func (f Profile) prepare(p *Pod) (filters []framework.Filter, only map[string]bool, by narrowed) {
	filters = make([]framework.Filter, 0, len(f.Filters))
	for _, plugin := range f.Filters {
		filter := plugin.Filter(p)
		if filter.Reject != nil {
			return nil, nil, narrowed{reject: filter.Reject, plugin: plugin.Name()}
		}
		if filter.Only != nil {
			only = intersect(only, filter.Only)
			by.names = append(by.names, plugin.Name())
		}
		if filter.Node != nil {
			filters = append(filters, filter)
		}
	}
	slices.Sort(by.names)
	if only != nil && len(only) == 0 {
		reason := fmt.Sprintf("node(s) didn't satisfy plugin(s) %v simultaneously", by.names)
		if len(by.names) == 1 {
			reason = "node(s) didn't satisfy plugin " + by.names[0]
		}
		by.reject = framework.Reject(framework.Unresolvable, reason)
	}
	return filters, only, by
}

func notAmong(plugins []string) string {
	return fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", plugins)
}

func intersect(a, b map[string]bool) map[string]bool {
	if a == nil {
		return b
	}
	out := map[string]bool{}
	for name := range a {
		if b[name] {
			out[name] = true
		}
	}
	return out
}

// score calls each for every plugin that has an opinion: its index, its weight,
// its scores as given and as normalised, in the order of nodes. The slices are
// used again afterwards.
func (f Profile) score(p *Pod, nodes []*Node, each func(plugin int, weight int64, raw, scores []int64)) {
	raw, scores := make([]int64, len(nodes)), make([]int64, len(nodes))
	for i, plugin := range f.Scores {
		score := plugin.Score(p, nodes)
		if score.Node == nil {
			continue
		}
		for j, n := range nodes {
			raw[j] = score.Node(n)
		}
		copy(scores, raw)
		if score.Normalize != nil {
			score.Normalize(scores)
		}
		each(i, plugin.Weight, raw, scores)
	}
}

// FitError says why no node takes a pod. Its text is the message of the
// FailedScheduling event and of the pod's condition.
type FitError struct {
	// Nodes is how many were looked at.
	Nodes int
	// All is set when the pod was rejected for all nodes at once.
	All []string

	reasons map[string]int
}

// Error is as kube-scheduler says it: "0/5 nodes are available: 2 Insufficient
// cpu, 3 node(s) were unschedulable."
func (e *FitError) Error() string {
	if e.Nodes == 0 {
		return "no nodes available to schedule pods"
	}
	msg := fmt.Sprintf("0/%d nodes are available:", e.Nodes)
	if len(e.All) > 0 {
		return msg + " " + strings.Join(e.All, ", ") + "."
	}
	var lines []string
	for reason, n := range e.reasons {
		lines = append(lines, fmt.Sprintf("%d %s", n, reason))
	}
	if len(lines) == 0 {
		return msg
	}
	slices.Sort(lines)
	return msg + " " + strings.Join(lines, ", ") + "."
}

// Reason is the reason of the pod's condition.
func (*FitError) Reason() string { return "Unschedulable" }

// IsFitError reports whether err says that no node can take the pod.
func IsFitError(err error) bool {
	var fit *FitError
	return errors.As(err, &fit)
}
