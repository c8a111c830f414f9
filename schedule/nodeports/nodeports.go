// Package nodeports keeps two pods that want one host port off one node.
package nodeports

import "github.com/lifepod/lifepod/schedule/framework"

const (
	// Name is the plugin's name.
	Name = "NodePorts"
	// Reason is why it rejects.
	Reason = "node(s) didn't have free ports for the requested pod ports"
)

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var _ framework.FilterPlugin = Plugin{}

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

var rejected = framework.Reject(framework.Unschedulable, Reason)

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	if len(p.Ports) == 0 {
		return framework.Filter{}
	}
	return framework.Filter{Node: func(n *framework.Node) *framework.Rejection {
		if Fits(p, n) {
			return nil
		}
		return rejected
	}}
}

// Fits reports whether no pod on the node has one of the pod's host ports.
func Fits(p *framework.Pod, n *framework.Node) bool {
	for _, want := range p.Ports {
		for _, taken := range n.Ports {
			if want.Overlaps(taken) {
				return false
			}
		}
	}
	return true
}
