package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// MatchRestartRule returns the first of the container's restart rules that
// matches the exit code, or nil.
func MatchRestartRule(c *corev1.Container, exitCode int32) *corev1.ContainerRestartRule {
	for i := range c.RestartPolicyRules {
		r := &c.RestartPolicyRules[i]
		if r.ExitCodes == nil {
			continue
		}
		in := slices.Contains(r.ExitCodes.Values, exitCode)
		if in && r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn ||
			!in && r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpNotIn {
			return r
		}
	}
	return nil
}

// ShouldRestart reports whether a regular container that ended with exitCode is
// to be started again: by its own rules, else its own policy, else the pod's.
// Rules count only where the container has a policy of its own. Deletion of the
// pod is not looked at.
func ShouldRestart(spec *corev1.PodSpec, c *corev1.Container, exitCode int32) bool {
	policy := spec.RestartPolicy
	if c.RestartPolicy != nil {
		if r := MatchRestartRule(c, exitCode); r != nil && (r.Action == corev1.ContainerRestartRuleActionRestart ||
			r.Action == corev1.ContainerRestartRuleActionRestartAllContainers) {
			return true
		}
		switch *c.RestartPolicy {
		case corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever:
			policy = corev1.RestartPolicy(*c.RestartPolicy)
		}
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return exitCode != 0
	}
	return true
}

// Restartable reports whether some exit code would make the container start
// again.
func Restartable(spec *corev1.PodSpec, c *corev1.Container) bool {
	if c.RestartPolicy == nil {
		return spec.RestartPolicy != corev1.RestartPolicyNever
	}
	return *c.RestartPolicy != corev1.ContainerRestartPolicyNever ||
		slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestart
		})
}

// MayRestartAll reports whether a rule of the pod can restart all its
// containers.
func MayRestartAll(spec *corev1.PodSpec) bool {
	for c := range Containers(spec, Main) {
		if slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		}) {
			return true
		}
	}
	return false
}
