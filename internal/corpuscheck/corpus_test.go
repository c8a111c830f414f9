package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// want is what testdata holds: lines per kind. A kind that lost its code, or a
// file that lost lines, is noticed.
var want = map[string]int{
	"phase.jsonl.gz phase": 500, "qos.jsonl.gz qos": 400,
	"vectors.jsonl.gz expand": 400, "vectors.jsonl.gz cpu": 120, "vectors.jsonl.gz backoff": 40,
	"vectors.jsonl.gz quantity": 115, "vectors.jsonl.gz cgroupName": 9, "vectors.jsonl.gz atomicWriter": 30,
}

func TestCorpus(t *testing.T) {
	results, err := checkDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range results {
		name := r.file + " " + r.kind
		seen[name] = true
		if r.total != want[name] || r.noCode || r.differs() {
			t.Errorf("want %d lines: %s", want[name], r)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("testdata lacks %s", name)
		}
	}
}

// The checker itself: what is wrong must be found and told.
func TestDifferencesAreFound(t *testing.T) {
	const good = `{"kind":"cpu","in":{"milliCPU":1000},"out":{"quota100ms":100000,"quota10ms":10000,"quotaToMilliCPU":1000,"shares":1024,"sharesToMilliCPU":1000}}`
	for name, c := range map[string]struct{ line, says string }{
		"same":          {good, "1 same of 1"},
		"other value":   {strings.Replace(good, "1024", "1025", 1), "out.shares: Kubernetes says 1025, lifepod 1024"},
		"more wanted":   {strings.Replace(good, `"shares"`, `"weight":1,"shares"`, 1), "out.weight: Kubernetes says 1, lifepod nothing"},
		"less wanted":   {strings.Replace(good, `"shares":1024,`, "", 1), "out.shares: Kubernetes says nothing, lifepod 1024"},
		"a new key":     {strings.Replace(good, `"in"`, `"also":true,"in"`, 1), "also: Kubernetes says true, lifepod nothing"},
		"another shape": {strings.Replace(good, `1024`, `[1024]`, 1), "out.shares: Kubernetes says [1024], lifepod 1024"},
		"unknown kind":  {`{"kind":"new","in":1,"out":2}`, "vectors.jsonl new: no code for this yet (1 lines)"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "vectors.jsonl"), []byte(c.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		rs, err := checkDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := rs[0].String(); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s, want %s", name, got, c.says)
		}
		if rs[0].differs() != (strings.Contains(c.says, "Kubernetes")) {
			t.Errorf("%s: differs %v", name, rs[0].differs())
		}
	}
}

func TestUnreadableFilesAreErrors(t *testing.T) {
	for name, data := range map[string]string{"qos.jsonl": "{", "qos.jsonl.gz": "no gzip", "qos-2.jsonl": `{"in":7}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := checkDir(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := checkDir(t.TempDir()); err == nil {
		t.Error("an empty directory was taken")
	}
}
