package core_test

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed/core"
)

func Example() {
	ctx := context.Background()
	client := core.New(new(memory.Store))
	pods := core.Pods(client)

	web := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	web, _ = pods.Create(ctx, web)
	old := web.DeepCopy()
	web.Labels = map[string]string{"tier": "front"}
	_, _ = pods.Update(ctx, web)
	_, err := pods.Update(ctx, old)
	fmt.Println(err)

	for ev, err := range pods.Watch(ctx, "default", metav1.ListOptions{LabelSelector: "tier=front"}) {
		fmt.Println(ev.Type, ev.Object.Name, err)
		break
	}
	// Output:
	// Operation cannot be fulfilled on pods "web": the object has been modified; please apply your changes to the latest version and try again
	// ADDED web <nil>
}
