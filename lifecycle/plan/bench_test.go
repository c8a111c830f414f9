package plan_test

import (
	"testing"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// BenchmarkNext is a look at a running pod with nothing to do.
func BenchmarkNext(b *testing.B) {
	w := still(simplePod())
	w.until(epoch.Add(5 * s))
	in := w.input()
	for b.Loop() {
		if p := plan.Next(in); len(p.Actions) > 0 {
			b.Fatal(p.Actions)
		}
	}
}
