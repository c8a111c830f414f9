package podspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// ExpandCommand expands every word of cmd by the values of env.
func ExpandCommand(cmd []string, env []EnvVar) []string {
	return expandAll(cmd, asMap(env))
}

// ExpandStatic expands the command of an exec probe or hook: only variables
// whose value is written in the spec count, and their own references stay.
func ExpandStatic(cmd []string, env []corev1.EnvVar) []string {
	vars := make(map[string]string, len(env))
	for _, e := range env {
		vars[e.Name] = e.Value
	}
	return expandAll(cmd, vars)
}

func expandAll(words []string, vars map[string]string) []string {
	var out []string
	for _, w := range words {
		out = append(out, pod.Expand(w, pod.Lookup(vars)))
	}
	return out
}

func asMap(env []EnvVar) map[string]string {
	m := make(map[string]string, len(env))
	for _, e := range env {
		m[e.Name] = e.Value
	}
	return m
}

// expandSubPath is stricter: a name that is unknown or empty is an error, so
// that a typing error does not mount the whole volume.
func expandSubPath(expr string, vars map[string]string) (string, error) {
	missing := map[string]bool{}
	out := pod.Expand(expr, func(name string) (string, bool) {
		if vars[name] == "" {
			missing[name] = true
		}
		return vars[name], true
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("missing value for %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return out, nil
}
