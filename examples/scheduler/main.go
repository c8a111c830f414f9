// Command scheduler chooses a node for a pod and explains how each score came
// about.
package main

import (
	"fmt"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/schedule/framework"
)

func node(name, cpu string, cordoned bool) *schedule.Node {
	n := &corev1.Node{}
	n.Name, n.Spec.Unschedulable = name, cordoned
	n.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	return framework.NewNode(n)
}

func main() {
	pod := &corev1.Pod{}
	pod.Name = "web"
	pod.Spec.Containers = []corev1.Container{{Name: "web", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	}}}
	nodes := schedule.Snapshot{Nodes: []*schedule.Node{node("small", "1", false), node("big", "16", false), node("closed", "32", true)}}
	p := framework.NewPod(pod)
	d, err := schedule.Default().Decide(nodes, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("chosen:", d.Node)
	if _, err := schedule.Default().Explain(nodes, p).WriteTo(os.Stdout); err != nil {
		log.Fatal(err)
	}
}
