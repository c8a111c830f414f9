package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// The code of a package's README is part of its examples, which go test compiles
// and runs.
func TestReadmeIsOfExamples(t *testing.T) {
	for _, p := range list(t, "./...") {
		text, err := os.ReadFile(filepath.Join(p.Dir, "README.md"))
		if err != nil || p.rel() == "." {
			continue
		}
		examples := exampleBodies(t, p)
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s: README.md shows no code", p.rel())
		}
		for _, b := range blocks {
			if !strings.Contains(examples, "\n"+b[1]) {
				t.Errorf("%s: README.md has code that no Example with an Output has:\n%s", p.rel(), b[1])
			}
		}
	}
}

// exampleBodies are the lines of all examples that are run, without the
// indentation of a function's body.
func exampleBodies(t *testing.T, p pkg) string {
	t.Helper()
	var all strings.Builder
	for _, name := range append(p.TestGoFiles, p.XTestGoFiles...) {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Example") {
				continue
			}
			body := string(src[fset.Position(fn.Body.Lbrace).Offset:fset.Position(fn.Body.Rbrace).Offset])
			if strings.Contains(strings.ToLower(body), "// output:") {
				all.WriteString(strings.ReplaceAll(body, "\n\t", "\n"))
			}
		}
	}
	return all.String()
}
