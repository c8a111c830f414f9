package main

import (
	"fmt"
	"strings"
	"testing"
)

// result is what became of one scenario.
type result struct {
	source, name string
	// file is the recording that ours is nearest to.
	file string
	*verdict
}

func (r result) equal() bool { return len(r.diffs) == 0 }

// known is the reason why a scenario that differs is known to.
func (r result) known() string { return known[r.name] }

func (r result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s: %s", r.file, r.name, r.verdict)
	if why := r.known(); !r.equal() && why != "" {
		b.WriteString(" (known: " + why + ")")
	}
	b.WriteString("\n")
	for i, d := range r.diffs {
		if i == shown {
			fmt.Fprintf(&b, "    and %d more\n", len(r.diffs)-shown)
			break
		}
		b.WriteString("    " + d + "\n")
	}
	return b.String()
}

// check lives every recording's pod and compares. run runs one as a test.
func check(list []recording, run func(name string, f func(*testing.T))) []result {
	var out []result
	place := map[string]int{}
	for _, r := range list {
		// The recordings of one source, api-1 and api-2, are of the same scenarios.
		source, _, _ := strings.Cut(r.file, "-")
		now := result{source: source, name: r.rec.Name, file: r.file, verdict: &verdict{}}
		if now.name == "" || r.rec.Pod == nil {
			now.name = r.norm.Name
			now.differ("there is no raw record of this scenario, so its pod is not known")
		} else {
			now.verdict = lived(r, run)
		}
		key := source + "/" + now.name
		i, again := place[key]
		switch {
		case !again:
			place[key] = len(out)
			out = append(out, now)
		case len(now.diffs) < len(out[i].diffs), len(now.diffs) == len(out[i].diffs) && len(now.kinds) < len(out[i].kinds):
			out[i] = now
		}
	}
	return out
}

func lived(r recording, run func(string, func(*testing.T))) *verdict {
	var v *verdict
	run(r.file+"/"+r.rec.Name, func(t *testing.T) {
		our, err := simulate(t, r.rec)
		if err != nil {
			v = &verdict{}
			v.differ("%v", err)
			return
		}
		v = compare(r.rec, r.norm, normalise(our))
	})
	if v == nil {
		v = &verdict{}
		v.differ("it could not be lived: see above")
	}
	return v
}
