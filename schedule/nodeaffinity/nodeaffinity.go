// Package nodeaffinity keeps pods to nodes that their nodeSelector and required
// node affinity match, and prefers those that the preferred terms match.
package nodeaffinity

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/lifepod/lifepod/schedule/framework"
)

const (
	// Name is the plugin's name.
	Name = "NodeAffinity"
	// Reason is why it rejects a node.
	Reason = "node(s) didn't match Pod's node affinity/selector"
	// ReasonConflict is why it rejects a pod that no node can match.
	ReasonConflict = "pod affinity terms conflict"
)

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var (
	_ framework.FilterPlugin = Plugin{}
	_ framework.ScorePlugin  = Plugin{}
)

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

var (
	rejected    = framework.Reject(framework.Unresolvable, Reason)
	conflicting = framework.Reject(framework.Unresolvable, ReasonConflict)
)

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	required := requiredTerms(p.Pod)
	if required == nil && p.Spec.NodeSelector == nil {
		return framework.Filter{}
	}
	only := named(required)
	if only != nil && len(only) == 0 {
		return framework.Filter{Reject: conflicting}
	}
	affinity := nodeaffinity.GetRequiredNodeAffinity(p.Pod)
	return framework.Filter{
		Only: only,
		Node: func(n *framework.Node) *framework.Rejection {
			if ok, _ := affinity.Match(n.Node); ok { // a term that cannot be read matches nothing
				return nil
			}
			return rejected
		},
	}
}

func requiredTerms(p *corev1.Pod) *corev1.NodeSelector {
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// named returns the nodes to which all terms limit the pod by name; nil when
// some term does not.
func named(s *corev1.NodeSelector) map[string]bool {
	if s == nil || len(s.NodeSelectorTerms) == 0 {
		return nil
	}
	all := map[string]bool{}
	for _, term := range s.NodeSelectorTerms {
		names := namedBy(term)
		if names == nil {
			return nil
		}
		for name := range names {
			all[name] = true
		}
	}
	return all
}

func namedBy(term corev1.NodeSelectorTerm) map[string]bool {
	var names map[string]bool
	for _, r := range term.MatchFields {
		if r.Key != metav1.ObjectNameField || r.Operator != corev1.NodeSelectorOpIn {
			continue
		}
		both := map[string]bool{}
		for _, v := range r.Values {
			if names == nil || names[v] {
				both[v] = true
			}
		}
		names = both
	}
	return names
}

// Score adds up the weights of the preferred terms that match.
func (Plugin) Score(p *framework.Pod, _ []*framework.Node) framework.Score {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return framework.Score{}
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return framework.Score{} // validation keeps such pods out
	}
	return framework.Score{
		Node:      func(n *framework.Node) int64 { return terms.Score(n.Node) },
		Normalize: framework.Proportional,
	}
}

// Fits reports whether the node matches the pod's nodeSelector and required node
// affinity.
func Fits(p *corev1.Pod, n *corev1.Node) bool {
	ok, _ := nodeaffinity.GetRequiredNodeAffinity(p).Match(n)
	return ok
}
