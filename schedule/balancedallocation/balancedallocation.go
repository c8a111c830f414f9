// Package balancedallocation prefers nodes on which the pod brings the shares of
// cpu and memory in use closer to each other.
package balancedallocation

import (
	"math"

	"github.com/lifepod/lifepod/schedule/framework"
)

// Name is the plugin's name.
const Name = "NodeResourcesBalancedAllocation"

// Plugin is the plugin; the zero value works.
type Plugin struct{}

var _ framework.ScorePlugin = Plugin{}

// Name implements framework.ScorePlugin.
func (Plugin) Name() string { return Name }

// Score implements framework.ScorePlugin. It has no opinion on pods that request
// neither cpu nor memory.
func (Plugin) Score(p *framework.Pod, _ []*framework.Node) framework.Score {
	if p.Requests.MilliCPU == 0 && p.Requests.Memory == 0 {
		return framework.Score{}
	}
	return framework.Score{Node: func(n *framework.Node) int64 { return Change(p, n) }}
}

// Change is 75 where the pod leaves the balance as it is, towards 100 where it
// improves it, towards 50 where it worsens it.
func Change(p *framework.Pod, n *framework.Node) int64 {
	cpu, memory := n.Requested.MilliCPU, n.Requested.Memory
	with := Balance(cpu+p.Requests.MilliCPU, n.Allocatable.MilliCPU, memory+p.Requests.Memory, n.Allocatable.Memory)
	without := Balance(cpu, n.Allocatable.MilliCPU, memory, n.Allocatable.Memory)
	return framework.MaxScore/2 + (framework.MaxScore/2+with-without)/2
}

// Balance is 100 when both resources are used to the same share, and less by the
// standard deviation of the two. A resource that is not there does not count.
func Balance(cpu, cpuCapacity, memory, memoryCapacity int64) int64 {
	deviation := 0.0
	if cpuCapacity != 0 && memoryCapacity != 0 {
		deviation = math.Abs((share(cpu, cpuCapacity) - share(memory, memoryCapacity)) / 2)
	}
	return int64((1 - deviation) * float64(framework.MaxScore))
}

func share(used, capacity int64) float64 { return min(1, float64(used)/float64(capacity)) }
