package main

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// TestNormalForm: what we make of the raw records is what was recorded beside
// them as their normal form.
func TestNormalForm(t *testing.T) {
	for _, name := range []string{"api-1", "api-2"} {
		raw, err := readFile(filepath.Join("testdata", name+".jsonl.gz"), false)
		if err != nil {
			t.Fatal(err)
		}
		norm, err := readFile(filepath.Join("testdata", name+".norm.jsonl.gz"), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) != len(norm) {
			t.Fatalf("%s: %d raw, %d normal", name, len(raw), len(norm))
		}
		for i := range raw {
			got, want := marshal(t, raw[i].norm), marshal(t, norm[i].norm)
			if got != want {
				t.Errorf("%s/%s:\n got %s\nwant %s", name, raw[i].rec.Name, got, want)
			}
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
