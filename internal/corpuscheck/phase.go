package main

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/pod"
)

func checkPhase(line []byte) (map[string]any, error) {
	var in struct {
		Pod                              corev1.Pod
		PodIsTerminal, PodHasInitialized bool
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, err
	}
	p := &in.Pod
	// Not nil: no statuses at all would have a reason of its own.
	statuses := append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...)
	statuses = append(statuses, p.Status.ContainerStatuses...)
	phase := plan.Phase(p, statuses, in.PodIsTerminal, in.PodHasInitialized)
	return map[string]any{
		"phase":   phase,
		"restart": restarts(p, statuses),
		"conditions": []corev1.PodCondition{
			plan.InitializedCondition(p, &corev1.PodStatus{}, statuses, phase),
			plan.ReadyCondition(p, p.Status.Conditions, statuses, phase),
			plan.ContainersReadyCondition(p, statuses, phase),
		},
	}, nil
}

// restarts decides for each container that has ended.
func restarts(p *corev1.Pod, statuses []corev1.ContainerStatus) map[string]any {
	got := map[string]any{}
	for c := range pod.Containers(&p.Spec, pod.Main) {
		st := pod.Status(statuses, c.Name)
		if st == nil || st.State.Terminated == nil {
			continue
		}
		code := st.State.Terminated.ExitCode
		restart, rule := plan.ShouldRestart(p, c, code)
		answer := map[string]any{"exitCode": code, "restart": restart}
		if rule != nil {
			answer["matchedRule"] = rule.Action
		}
		got[c.Name] = answer
	}
	return got
}
