package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var code = regexp.MustCompile("`([^`\n]+)`")

// document is a file beside the README, and what stands in code style in it.
func document(t *testing.T, name string) (text string, quoted []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range code.FindAllStringSubmatch(string(b), -1) {
		quoted = append(quoted, m[1])
	}
	return string(b), quoted
}

// The map of ARCHITECTURE.md has every package, once, and no other.
func TestMapIsWhole(t *testing.T) {
	text, _ := document(t, "ARCHITECTURE.md")
	mapped := map[string]int{}
	for line := range strings.Lines(text) {
		if cells := strings.SplitN(line, "|", 4); len(cells) == 4 {
			for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
				mapped[m[1]]++
			}
		}
	}
	for _, p := range list(t, "./...") {
		inside := strings.Contains(p.rel(), "/internal/") || p.rel() == "."
		if n := mapped[p.rel()]; n != 1 && !inside {
			t.Errorf("the map of ARCHITECTURE.md has %s %d times", p.rel(), n)
		}
		delete(mapped, p.rel())
	}
	for name := range mapped {
		t.Errorf("the map of ARCHITECTURE.md has %s, which is no package", name)
	}
}

// The code with which the README shows how to embed is the Example of
// lifecycle/local, which the compiler reads.
func TestReadmeIsOfLocalsExample(t *testing.T) {
	text, _ := document(t, "README.md")
	example, err := os.ReadFile("../../lifecycle/local/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) != 2 || !strings.Contains(strings.ReplaceAll(string(example), "\n\t", "\n"), "func Example() {\n"+blocks[1][1]+"}\n") {
		t.Errorf("of its %d blocks of code the second is not the body of lifecycle/local's Example", len(blocks))
	}
}

// Files and packages that a document names are there.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	for name, least := range map[string]int{"README.md": 15, "ARCHITECTURE.md": 80, "CONTRIBUTING.md": 30, "SCOPE.md": 0} {
		_, quoted := document(t, name)
		there := 0
		for _, q := range quoted {
			if !ofProject(q) {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", q)); err != nil {
				t.Errorf("%s names %s: %v", name, q, err)
			}
			there++
		}
		if there < least {
			t.Errorf("%s names %d paths of the project, at least %d are expected: is its form another?", name, there, least)
		}
	}
}

// ofProject says whether a text is a path in the project: its first folder is
// there, and nothing is to be filled in.
func ofProject(text string) bool {
	first, _, isPath := strings.Cut(text, "/")
	if !isPath || first == "" || first == ".." || strings.ContainsAny(text, " <>{}") {
		return false
	}
	_, err := os.Stat(filepath.Join("../..", first))
	return err == nil
}
