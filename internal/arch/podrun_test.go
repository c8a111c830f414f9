package arch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// podrunLines is how long podrun may be: it shows that lifecycle/local does the
// work.
const podrunLines = 600

func TestPodrunStaysSmall(t *testing.T) {
	files, err := filepath.Glob("../../examples/podrun/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines == 0 || lines > podrunLines {
		t.Errorf("examples/podrun has %d lines, of at most %d: what is more belongs into a package that others can use", lines, podrunLines)
	}
}
