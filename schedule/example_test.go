package schedule_test

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/schedule/framework"
)

func ExampleProfile_Explain() {
	nodes := schedule.Snapshot{Nodes: []*schedule.Node{
		framework.NewNode(node("busy", "2"), framework.NewPod(pod("other", "1500m"))),
		framework.NewNode(node("free", "4")),
		framework.NewNode(node("cordoned", "4", func(n *corev1.Node) { n.Spec.Unschedulable = true })),
	}}
	web := framework.NewPod(pod("web", "1"))
	d, err := schedule.Default().Decide(nodes, web, nil)
	fmt.Println(d.Node, d.Feasible, "of", d.Of, err)
	_, _ = schedule.Default().Explain(nodes, web).WriteTo(os.Stdout)
	// Output:
	// free 1 of 3 <nil>
	// busy      -    NodeResourcesFit: Insufficient cpu
	// free      455  TaintToleration 100 (raw 0) ×3, NodeResourcesFit 87 (raw 87) ×1, NodeResourcesBalancedAllocation 68 (raw 68) ×1
	// cordoned  -    NodeUnschedulable: node(s) were unschedulable
}
