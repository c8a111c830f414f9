package framework

// MaxScore is the highest score that a plugin gives a node, before its weight.
const MaxScore int64 = 100

// Code says what would help against a rejection.
type Code string

// The codes.
const (
	// Unschedulable: not now; it may fit when other pods leave.
	Unschedulable Code = "Unschedulable"
	// Unresolvable: whatever leaves, not on this node as it is.
	Unresolvable Code = "UnschedulableAndUnresolvable"
)

// Rejection is why a node does not take a pod.
type Rejection struct {
	Code    Code
	Reasons []string
}

// Reject returns a rejection for one reason.
func Reject(code Code, reason string) *Rejection {
	return &Rejection{Code: code, Reasons: []string{reason}}
}

// FilterPlugin says which nodes cannot take a pod.
type FilterPlugin interface {
	// Name is the name in explanations, as Kubernetes has it.
	Name() string
	// Filter prepares for one pod; it is called once per decision.
	Filter(p *Pod) Filter
}

// Filter is what a plugin says about one pod. The zero value objects to nothing.
type Filter struct {
	// Reject keeps the pod off all nodes.
	Reject *Rejection
	// Only limits the decision to the named nodes. Nil does not; of several
	// plugins the intersection counts.
	Only map[string]bool
	// Node rejects one node, or returns nil. Nil Node rejects none. It may be
	// called for several nodes at once and must not change anything.
	Node func(n *Node) *Rejection
}

// ScorePlugin says how well a node suits a pod.
type ScorePlugin interface {
	// Name is the name in explanations, as Kubernetes has it.
	Name() string
	// Score prepares for one pod and the nodes that can take it; it is called
	// once per decision.
	Score(p *Pod, nodes []*Node) Score
}

// Score is what a plugin says about one pod. The zero value has no opinion.
type Score struct {
	// Node scores one node. Nil leaves the plugin out of this decision.
	Node func(n *Node) int64
	// Normalize brings the scores of all nodes to 0…MaxScore, in place. Nil means
	// that they are.
	Normalize func(scores []int64)
}

// Proportional scales scores so that the highest is MaxScore.
func Proportional(scores []int64) { proportional(scores, false) }

// Inverse scales scores so that the highest is 0 and 0 is MaxScore.
func Inverse(scores []int64) { proportional(scores, true) }

func proportional(scores []int64, inverse bool) {
	var top int64
	for _, s := range scores {
		top = max(top, s)
	}
	for i, s := range scores {
		if top > 0 {
			s = MaxScore * s / top
		}
		if inverse {
			s = MaxScore - s
		}
		scores[i] = s
	}
}
