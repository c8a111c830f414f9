package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRecordings: every public scenario is equal but for what is meant.
func TestRecordings(t *testing.T) {
	list, err := read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	results := check(list, func(name string, f func(*testing.T)) { t.Run(name, f) })
	equal := 0
	for _, r := range results {
		switch {
		case r.equal():
			equal++
			if r.known() != "" {
				t.Errorf("%s is equal by now: take it off the known list", r.name)
			}
		case r.known() == "":
			t.Error(r)
		}
	}
	if len(results) != 59 {
		t.Errorf("%d scenarios, want 59", len(results))
	}
	t.Logf("%d of %d equal", equal, len(results))
}

// TestKindsHaveReasons: each kind is a row of DIFFERENCES.md and each row there a
// kind; there are at most 12.
func TestKindsHaveReasons(t *testing.T) {
	b, err := os.ReadFile("../../DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "## lifepod and the kubelet")
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|[^|]+\\|[^|]+\\|$").FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(rows)
	kinds := slices.Sorted(slices.Values(allKinds))
	if !slices.Equal(rows, kinds) || len(kinds) > 12 {
		t.Errorf("rows %q\nkinds %q", rows, kinds)
	}
}
