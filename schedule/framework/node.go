package framework

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Node is a node with the pods on it, summed up. It is immutable: With and
// Without return changed copies, so that a snapshot of nodes stays what it was.
type Node struct {
	*corev1.Node
	Pods        []*Pod
	Allocatable Resources
	// Requested is what the pods request; NonZero counts those that request nothing.
	Requested, NonZero Resources
	// Ports are the host ports that are taken.
	Ports []HostPort
}

// NewNode sums up a node with its pods. n must not change afterwards.
func NewNode(n *corev1.Node, pods ...*Pod) *Node {
	out := &Node{Node: n, Pods: pods, Allocatable: NewResources(n.Status.Allocatable)}
	out.sum()
	return out
}

func (n *Node) sum() {
	n.Requested, n.NonZero, n.Ports = Resources{}, Resources{}, nil
	for _, p := range n.Pods {
		n.Requested = n.Requested.Plus(p.Requests)
		n.NonZero = n.NonZero.Plus(p.NonZero)
		n.Ports = append(n.Ports, p.Ports...)
	}
}

// With returns the node with one more pod.
func (n *Node) With(p *Pod) *Node {
	out := *n
	out.Pods = append(slices.Clip(n.Pods), p)
	out.Requested = n.Requested.Plus(p.Requests)
	out.NonZero = n.NonZero.Plus(p.NonZero)
	out.Ports = append(slices.Clip(n.Ports), p.Ports...)
	return &out
}

// Without returns the node less the pod of that uid.
func (n *Node) Without(uid types.UID) *Node {
	out := *n
	out.Pods = slices.DeleteFunc(slices.Clone(n.Pods), func(p *Pod) bool { return p.UID == uid })
	out.sum()
	return &out
}
