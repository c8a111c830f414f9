package schedule

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lifepod/lifepod/schedule/framework"
)

// Explanation is everything that went into a decision.
type Explanation struct {
	// Rejected and RejectedBy are set when one plugin rejected the pod as such.
	Rejected   *Rejection
	RejectedBy string
	// Nodes has every node, in the order of the snapshot.
	Nodes []NodeVerdict
	// Best names the nodes with the highest total, by name.
	Best []string
}

// NodeVerdict is what the plugins said about one node.
type NodeVerdict struct {
	Node string
	// Objections are all filter plugins that reject it, in the profile's order: a
	// decision stops at the first.
	Objections []Objection
	// Scores has the plugins that scored; nil when it was not feasible.
	Scores []ScoreVerdict
	// Total is the weighted sum.
	Total int64
}

// Objection is one plugin's rejection of one node.
type Objection struct {
	Plugin    string
	Rejection *Rejection
}

// ScoreVerdict is one plugin's score of one node; Weight×Score goes into the total.
type ScoreVerdict struct {
	Plugin             string
	Raw, Score, Weight int64
}

// Feasible reports whether no plugin objects.
func (v NodeVerdict) Feasible() bool { return len(v.Objections) == 0 }

// Explain says for each node and plugin what it makes of the pod. Unlike Decide it
// asks every filter about every node and scores a single feasible node too.
func (f Profile) Explain(s Snapshot, p *Pod) Explanation {
	out := Explanation{Nodes: make([]NodeVerdict, len(s.Nodes))}
	for i, n := range s.Nodes {
		out.Nodes[i].Node = n.Name
	}
	for _, plugin := range f.Filters {
		filter := plugin.Filter(p)
		if filter.Reject != nil && out.Rejected == nil {
			out.Rejected, out.RejectedBy = filter.Reject, plugin.Name()
		}
		for i, n := range s.Nodes {
			if r := objection(plugin.Name(), filter, n); r != nil {
				out.Nodes[i].Objections = append(out.Nodes[i].Objections, Objection{plugin.Name(), r})
			}
		}
	}
	f.explainScores(s, p, &out)
	return out
}

func objection(plugin string, f framework.Filter, n *Node) *Rejection {
	switch {
	case f.Reject != nil:
		return f.Reject
	case f.Node != nil:
		if r := f.Node(n); r != nil {
			return r
		}
	}
	if f.Only != nil && !f.Only[n.Name] {
		return framework.Reject(framework.Unresolvable, notAmong([]string{plugin}))
	}
	return nil
}

func (f Profile) explainScores(s Snapshot, p *Pod, out *Explanation) {
	var feasible []*Node
	var index []int
	for i := range out.Nodes {
		if out.Nodes[i].Feasible() {
			feasible = append(feasible, s.Nodes[i])
			index = append(index, i)
		}
	}
	if len(feasible) == 0 {
		return
	}
	f.score(p, feasible, func(plugin int, weight int64, raw, scores []int64) {
		for j, i := range index {
			v := &out.Nodes[i]
			v.Scores = append(v.Scores, ScoreVerdict{Plugin: f.Scores[plugin].Name(), Raw: raw[j], Score: scores[j], Weight: weight})
			v.Total += weight * scores[j]
		}
	})
	totals := make([]int64, len(index))
	for j, i := range index {
		totals[j] = out.Nodes[i].Total
	}
	for _, j := range bestOf(totals) {
		out.Best = append(out.Best, feasible[j].Name)
	}
	slices.Sort(out.Best)
}

// WriteTo writes the explanation as a table for people.
func (e Explanation) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range e.Nodes {
		var said []string
		for _, o := range v.Objections {
			said = append(said, o.Plugin+": "+strings.Join(o.Rejection.Reasons, "; "))
		}
		total := "-"
		if v.Feasible() {
			total = fmt.Sprint(v.Total)
		}
		for _, s := range v.Scores {
			said = append(said, fmt.Sprintf("%s %d (raw %d) ×%d", s.Plugin, s.Score, s.Raw, s.Weight))
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\n", v.Node, total, strings.Join(said, ", "))
	}
	if err := tab.Flush(); err != nil {
		return 0, fmt.Errorf("write explanation: %w", err)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
