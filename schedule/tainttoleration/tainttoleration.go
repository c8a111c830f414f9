// Package tainttoleration keeps pods off nodes whose taints they do not tolerate,
// and prefers nodes with fewer taints that ask pods to stay away.
package tainttoleration

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule/framework"
)

const (
	// Name is the plugin's name.
	Name = "TaintToleration"
	// Reason is why it rejects.
	Reason = "node(s) had untolerated taint(s)"
)

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var (
	_ framework.FilterPlugin = Plugin{}
	_ framework.ScorePlugin  = Plugin{}
)

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

var rejected = framework.Reject(framework.Unresolvable, Reason)

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	return framework.Filter{Node: func(n *framework.Node) *framework.Rejection {
		if Fits(p.Pod, n.Node) {
			return nil
		}
		return rejected
	}}
}

// Score counts the PreferNoSchedule taints that the pod does not tolerate; fewer
// is better.
func (Plugin) Score(p *framework.Pod, _ []*framework.Node) framework.Score {
	var matter []corev1.Toleration
	for _, t := range p.Spec.Tolerations {
		if t.Effect == "" || t.Effect == corev1.TaintEffectPreferNoSchedule {
			matter = append(matter, t)
		}
	}
	return framework.Score{
		Node: func(n *framework.Node) (score int64) {
			for i := range n.Spec.Taints {
				t := &n.Spec.Taints[i]
				if t.Effect == corev1.TaintEffectPreferNoSchedule && !Tolerates(matter, t) {
					score++
				}
			}
			return score
		},
		Normalize: framework.Inverse,
	}
}

// Fits reports whether the pod tolerates all taints of the node that keep pods
// away: NoSchedule and NoExecute.
func Fits(p *corev1.Pod, n *corev1.Node) bool {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !Tolerates(p.Spec.Tolerations, t) {
			return false
		}
	}
	return true
}

// Tolerates reports whether one of the tolerations matches the taint.
func Tolerates(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for i := range tolerations {
		if matches(&tolerations[i], taint) {
			return true
		}
	}
	return false
}

// matches is one toleration. The operators Gt and Lt, off in Kubernetes 1.37,
// match nothing.
func matches(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case "", corev1.TolerationOpEqual:
		return t.Value == taint.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}
