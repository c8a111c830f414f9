package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noExample are packages without a library's surface.
func noExample(rel string) bool {
	return rel == "." || rel == "container/runc/reexec" || chooses(rel) && rel != "lifecycle/local" || strings.Contains(rel, "/internal")
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range list(t, "./...") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.rel())
		}
	}
}

func TestEveryPackageHasAnExample(t *testing.T) {
	for _, p := range list(t, "./...") {
		if noExample(p.rel()) || p.Name == "main" {
			continue
		}
		if !hasExample(t, p) {
			t.Errorf("%s has no Example with an Output", p.rel())
		}
	}
}

// hasExample says whether one test file has an ExampleX function that ends in
// an output comment, so that go test runs it.
func hasExample(t *testing.T, p pkg) bool {
	t.Helper()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		isExample := slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
			fn, ok := d.(*ast.FuncDecl)
			return ok && strings.HasPrefix(fn.Name.Name, "Example")
		})
		hasOutput := slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
			return strings.Contains(strings.ToLower(c.Text()), "output:")
		})
		if isExample && hasOutput {
			return true
		}
	}
	return false
}
