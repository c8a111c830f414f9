package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// diff lists where got, turned into JSON, is not want. A key that only one of
// them has is a difference.
func diff(want map[string]any, got any) ([]string, error) {
	b, err := json.Marshal(got)
	if err != nil {
		return nil, err
	}
	g, err := decode(b)
	if err != nil {
		return nil, err
	}
	return walk("", want, g), nil
}

func walk(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return walkMap(path, w, g)
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(w) {
			var d []string
			for i := range w {
				d = append(d, walk(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
			}
			return d
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: Kubernetes says %s, lifepod %s", path, text(want), text(got))}
}

func walkMap(path string, want, got map[string]any) []string {
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	var d []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		w, inWant := want[k]
		g, inGot := got[k]
		at := path + "." + k
		if path == "" {
			at = k
		}
		switch {
		case !inGot:
			d = append(d, fmt.Sprintf("%s: Kubernetes says %s, lifepod nothing", at, text(w)))
		case !inWant:
			d = append(d, fmt.Sprintf("%s: Kubernetes says nothing, lifepod %s", at, text(g)))
		default:
			d = append(d, walk(at, w, g)...)
		}
	}
	return d
}

func text(v any) string {
	b, _ := json.Marshal(v)
	if len(b) > 200 {
		b = append(b[:200], "..."...)
	}
	return string(b)
}
