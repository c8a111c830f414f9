package schedule

import (
	"github.com/lifepod/lifepod/schedule/balancedallocation"
	"github.com/lifepod/lifepod/schedule/framework"
	"github.com/lifepod/lifepod/schedule/nodeaffinity"
	"github.com/lifepod/lifepod/schedule/nodename"
	"github.com/lifepod/lifepod/schedule/nodeports"
	"github.com/lifepod/lifepod/schedule/noderesourcesfit"
	"github.com/lifepod/lifepod/schedule/nodeunschedulable"
	"github.com/lifepod/lifepod/schedule/tainttoleration"
)

// What plugins are made of, under the names that callers need.
type (
	Pod       = framework.Pod
	Node      = framework.Node
	Rejection = framework.Rejection
)

// Profile is the plugins that decide, in order.
type Profile struct {
	// Filters are asked in this order; the first objection to a node counts.
	Filters []framework.FilterPlugin
	Scores  []Weighted
}

// Weighted is a score plugin and its weight.
type Weighted struct {
	framework.ScorePlugin
	Weight int64
}

// Default returns Kubernetes' default profile, as far as its plugins are here.
func Default() Profile {
	return Profile{
		Filters: []framework.FilterPlugin{
			nodename.Plugin{}, nodeunschedulable.Plugin{}, tainttoleration.Plugin{},
			nodeaffinity.Plugin{}, nodeports.Plugin{}, noderesourcesfit.Plugin{},
		},
		Scores: []Weighted{
			{tainttoleration.Plugin{}, 3},
			{nodeaffinity.Plugin{}, 2},
			{noderesourcesfit.Plugin{}, 1},
			{balancedallocation.Plugin{}, 1},
		},
	}
}

// Snapshot is the nodes of one moment. It is never changed.
type Snapshot struct {
	// Nodes in the order in which they are looked at.
	Nodes []*Node
}
