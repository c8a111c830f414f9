package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPure keeps clocks, chance, waiting and effects out of the decision.
func TestPure(t *testing.T) {
	banned := map[string]string{
		"os": "I/O", "io": "I/O", "net": "I/O", "sync": "a decision waits for nobody", "sync/atomic": "a decision shares nothing",
		"context": "a decision cannot be cancelled", "math/rand": "chance", "math/rand/v2": "chance", "log": "a decision tells in its plan",
		"log/slog": "a decision tells in its plan", "github.com/go-logr/logr": "a decision tells in its plan", "k8s.io/klog/v2": "a decision tells in its plan",
	}
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true, "NewTimer": true, "NewTicker": true}
	set := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files++
		for _, imp := range file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why, bad := banned[path]; bad {
				t.Errorf("%s imports %s: %s", name, path, why)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: concurrency", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s: time.%s: the time is in Input.Now", set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
	if files < 20 {
		t.Errorf("looked at %d files only", files)
	}
}
