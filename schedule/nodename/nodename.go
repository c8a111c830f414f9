// Package nodename keeps a pod that names its node to that node.
package nodename

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule/framework"
)

const (
	// Name is the plugin's name.
	Name = "NodeName"
	// Reason is why it rejects.
	Reason = "node(s) didn't match the requested node name"
)

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var _ framework.FilterPlugin = Plugin{}

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	if p.Spec.NodeName == "" {
		return framework.Filter{}
	}
	return framework.Filter{
		Only: map[string]bool{p.Spec.NodeName: true},
		Node: func(n *framework.Node) *framework.Rejection {
			if Fits(p.Pod, n.Node) {
				return nil
			}
			return rejected
		},
	}
}

var rejected = framework.Reject(framework.Unresolvable, Reason)

// Fits reports whether the pod names this node or none.
func Fits(p *corev1.Pod, n *corev1.Node) bool {
	return p.Spec.NodeName == "" || p.Spec.NodeName == n.Name
}
