// Package nodeunschedulable keeps pods off cordoned nodes.
package nodeunschedulable

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule/framework"
	"github.com/lifepod/lifepod/schedule/tainttoleration"
)

const (
	// Name is the plugin's name.
	Name = "NodeUnschedulable"
	// Reason is why it rejects.
	Reason = "node(s) were unschedulable"
)

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var _ framework.FilterPlugin = Plugin{}

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

var (
	rejected = framework.Reject(framework.Unresolvable, Reason)
	cordon   = corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
)

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	if tainttoleration.Tolerates(p.Spec.Tolerations, &cordon) {
		return framework.Filter{}
	}
	return framework.Filter{Node: func(n *framework.Node) *framework.Rejection {
		if n.Spec.Unschedulable {
			return rejected
		}
		return nil
	}}
}

// Fits reports whether the node takes new pods, or the pod tolerates that it does
// not.
func Fits(p *corev1.Pod, n *corev1.Node) bool {
	return !n.Spec.Unschedulable || tainttoleration.Tolerates(p.Spec.Tolerations, &cordon)
}
