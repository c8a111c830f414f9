package schedule_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/schedule/framework"
)

// BenchmarkCycle is one decision with all nodes filtered and scored, and its
// outcome assumed: what a pod costs but for the bind. Nodes have five pods each.
func BenchmarkCycle(b *testing.B) {
	for _, nodes := range []int{1, 100, 1000, 5000} {
		b.Run(fmt.Sprint(nodes, "nodes"), func(b *testing.B) {
			cache := schedule.NewCache()
			for i := range nodes {
				name := fmt.Sprintf("node-%04d", i)
				cache.SetNode(node(name, "64"))
				for j := range 5 {
					p := pod(fmt.Sprint(name, j), "500m")
					p.UID = types.UID(p.Name)
					cache.SetPod(framework.NewPod(p), name)
				}
			}
			profile := schedule.Default()
			last := types.UID("")
			for i := 0; b.Loop(); i++ {
				p := pod("new", "100m")
				p.UID = types.UID(fmt.Sprint(i))
				decide(b, profile, cache, p)
				if last != "" { // the same load for every round
					cache.DeletePod(last)
				}
				last = p.UID
			}
		})
	}
}

func decide(b *testing.B, profile schedule.Profile, cache *schedule.Cache, p *corev1.Pod) {
	work := framework.NewPod(p)
	d, err := profile.Decide(cache.Snapshot(), work, nil)
	if err != nil {
		b.Fatal(err)
	}
	cache.SetPod(work, d.Node)
}
