package podspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// Expand replaces $(NAME) in s by what vars say, asked in order. An unknown
// name stays as it is, $$ is one $, and a reference without its end is text.
func Expand(s string, vars ...map[string]string) string {
	return expand(s, func(name string) string {
		for _, m := range vars {
			if v, ok := m[name]; ok {
				return v
			}
		}
		return "$(" + name + ")"
	})
}

func expand(s string, value func(name string) string) string {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "$")
		b.WriteString(text)
		if !found {
			return b.String()
		}
		if rest == "" {
			b.WriteByte('$')
			return b.String()
		}
		s = rest[reference(&b, rest, value):]
	}
}

// reference writes what the text after a $ stands for and returns how much of
// it that was.
func reference(b *strings.Builder, after string, value func(string) string) int {
	switch after[0] {
	case '$':
		b.WriteByte('$')
		return 1
	case '(':
		name, _, closed := strings.Cut(after[1:], ")")
		if !closed {
			b.WriteString("$(")
			return 1
		}
		b.WriteString(value(name))
		return len(name) + 2
	}
	r, n := utf8.DecodeRuneInString(after)
	b.WriteByte('$')
	b.WriteRune(r)
	return n
}

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
		out = append(out, Expand(w, vars))
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

// expandSubPath is stricter than Expand: a name that is unknown or empty is an
// error, so that a typing error does not mount the whole volume.
func expandSubPath(expr string, vars map[string]string) (string, error) {
	missing := map[string]bool{}
	out := expand(expr, func(name string) string {
		if vars[name] == "" {
			missing[name] = true
		}
		return vars[name]
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("missing value for %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return out, nil
}
