package lifecycle_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle"
)

// A pod.json that the machine went down over is empty: the pod was never begun.
// Any other damage is told, with what to do.
func TestReadRecordOfAPodThatWasNeverBegun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pod.json")
	if _, err := lifecycle.ReadRecord(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
	for content, none := range map[string]bool{"": true, " ": false, "{": false, "{}": false} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := lifecycle.ReadRecord(dir); err == nil || errors.Is(err, fs.ErrNotExist) != none {
			t.Errorf("of %q: %v", content, err)
		}
	}
	if err := lifecycle.WriteRecord(dir, lifecycle.Record{Pod: &corev1.Pod{}}); err != nil {
		t.Fatal(err)
	}
	if rec, err := lifecycle.ReadRecord(dir); err != nil || rec.Pod == nil {
		t.Errorf("of one that was written: %+v, %v", rec, err)
	}
}
