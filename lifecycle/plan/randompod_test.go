package plan_test

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ptr[T any](v T) *T { return &v }

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomPod draws a pod of every kind of container, policy, probe and hook.
func randomPod(r *rand.Rand) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u1", Generation: 1}}
	pod.Spec.RestartPolicy = pick(r, corev1.RestartPolicyAlways, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	pod.Spec.TerminationGracePeriodSeconds = ptr(pick[int64](r, 0, 1, 3, 10, 30))
	pod.Spec.HostNetwork = r.IntN(8) == 0
	for i := range r.IntN(4) {
		c := randomContainer(r, fmt.Sprintf("i%d", i))
		if r.IntN(2) == 0 {
			c.RestartPolicy, c.RestartPolicyRules = ptr(corev1.ContainerRestartPolicyAlways), nil
		} else {
			c.StartupProbe, c.LivenessProbe, c.ReadinessProbe, c.Lifecycle = nil, nil, nil, nil
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for i := range 1 + r.IntN(3) {
		pod.Spec.Containers = append(pod.Spec.Containers, randomContainer(r, fmt.Sprintf("c%d", i)))
	}
	if r.IntN(10) == 0 {
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e0", Image: "tools"}}}
	}
	if r.IntN(10) == 0 {
		pod.Spec.ActiveDeadlineSeconds = ptr(int64(1 + r.IntN(200)))
	}
	return pod
}

func randomContainer(r *rand.Rand, name string) corev1.Container {
	c := corev1.Container{Name: name, Image: pick(r, "a", "b"), ImagePullPolicy: pick(r, corev1.PullIfNotPresent, corev1.PullIfNotPresent, corev1.PullAlways)}
	probe := func(odds int) *corev1.Probe {
		if r.IntN(odds) > 0 {
			return nil
		}
		return &corev1.Probe{PeriodSeconds: 1, TerminationGracePeriodSeconds: pick(r, nil, ptr(int64(2)))}
	}
	c.LivenessProbe, c.ReadinessProbe, c.StartupProbe = probe(4), probe(3), probe(4)
	hook := &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}
	switch r.IntN(6) {
	case 0:
		c.Lifecycle = &corev1.Lifecycle{PostStart: hook}
	case 1:
		c.Lifecycle = &corev1.Lifecycle{PreStop: hook}
	case 2:
		c.Lifecycle = &corev1.Lifecycle{PreStop: hook, PostStart: hook}
	}
	if r.IntN(4) == 0 {
		c.RestartPolicy = ptr(pick(r, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever))
		action := pick(r, corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)
		c.RestartPolicyRules = []corev1.ContainerRestartRule{{Action: action,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}
	}
	return c
}
