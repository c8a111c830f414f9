// Command gentables writes the tables of system calls of container/seccomp from
// the constants of golang.org/x/sys/unix. go generate runs it.
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type call struct {
	name   string
	number int
}

func main() {
	out, err := exec.CommandContext(context.Background(), "go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		log.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	for _, arch := range []string{"386", "amd64", "arm", "arm64"} {
		calls, err := read(filepath.Join(dir, "zsysnum_linux_"+arch+".go"))
		if err != nil {
			log.Fatal(err)
		}
		var text bytes.Buffer
		for _, c := range calls {
			fmt.Fprintln(&text, c.name, c.number)
		}
		if err := os.WriteFile(filepath.Join("tables", arch+".txt"), text.Bytes(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func read(file string) ([]call, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var calls []call
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		name, isCall := strings.CutPrefix(v.Names[0].Name, "SYS_")
		lit, isLit := v.Values[0].(*ast.BasicLit)
		if !isCall || !isLit || slices.Contains(notCalls, name) {
			return true
		}
		if n, err := strconv.Atoi(lit.Value); err == nil {
			calls = append(calls, call{strings.ToLower(name), n})
		}
		return true
	})
	slices.SortFunc(calls, func(a, b call) int { return cmp.Or(a.number-b.number, cmp.Compare(a.name, b.name)) })
	return calls, nil
}

// notCalls are constants that look like calls.
var notCalls = []string{"SYSCALL_MASK", "ARCH_SPECIFIC_SYSCALL"}
