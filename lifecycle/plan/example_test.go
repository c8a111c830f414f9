package plan_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// A pod whose cgroup, volumes and sandbox are there: what next?
func ExampleNext() {
	pod := &corev1.Pod{}
	pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "nginx:1.29"}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	p := plan.Next(plan.Input{Now: now, Pod: pod, Observed: plan.Observed{
		Cgroup: plan.Present, Volumes: plan.Present,
		Sandboxes: []plan.Sandbox{{ID: "box", Ready: true, CreatedAt: now, IPs: []string{"10.0.0.7"}}},
	}})
	for _, a := range p.Actions {
		fmt.Printf("%s: %T%+v\n", a.Key(), a, a)
	}
	st := p.Status
	fmt.Println(st.Phase, st.PodIP, st.ContainerStatuses[0].State.Waiting.Reason)
	// Output:
	// image/web: plan.CheckImage{Container:web Image:nginx:1.29}
	// Pending 10.0.0.7 ContainerCreating
}

// A container has just crashed for the second time.
func ExampleInput_crash() {
	pod := &corev1.Pod{}
	pod.Name, pod.Namespace, pod.UID = "web", "default", "u1"
	pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "nginx:1.29"}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := plan.CrashKey(pod, &pod.Spec.Containers[0])

	in := plan.Input{Now: now, Pod: pod,
		Observed: plan.Observed{
			Cgroup: plan.Present, Volumes: plan.Present,
			Sandboxes:  []plan.Sandbox{{ID: "box", Ready: true, CreatedAt: now, IPs: []string{"10.0.0.7"}}},
			Containers: []plan.Container{{ID: "c2", Name: "web", SandboxID: "box", Attempt: 1, State: plan.Exited, ExitCode: 1, Reason: "Error", FinishedAt: now}},
		},
		Memory: plan.Memory{Crash: map[string]plan.Backoff{key: {BackoffEntry: plan.BackoffEntry{Delay: 10 * time.Second, Updated: now}, For: "c1"}}},
	}
	first := plan.Next(in)
	fmt.Println(first.Status.ContainerStatuses[0].State.Terminated.Reason, first.Events[0].Message)
	in.Memory = first.Memory
	second := plan.Next(in) // at once: WakeAt was now
	fmt.Println(second.Status.ContainerStatuses[0].State.Waiting.Reason, len(second.Actions), second.WakeAt.Sub(now))
	// Output:
	// Error Back-off restarting failed container web in pod web_default(u1)
	// CrashLoopBackOff 0 10s
}
