package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// limit is for one mutant's tests: one that hangs is as bad as one that fails.
const limit = 2 * time.Minute

// mutant is one breakage. Lines are compared without their white space.
type mutant struct{ file, old, new string }

// verdict is what became of a mutant: the test that killed it, or an error.
type verdict struct {
	by  string
	err error
}

var errAlive = errors.New("it lives: no test notices")

// load reads the list: a line with a file's name, then pairs of lines that begin
// with - and +.
func load(root string) ([]mutant, error) {
	b, err := os.ReadFile(filepath.Join(root, "internal/mutants/plan.mutants"))
	if err != nil {
		return nil, err
	}
	var list []mutant
	var file, old string
	for n, line := range strings.Split(string(b), "\n") {
		mark, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case mark == "" || mark == "#":
		case mark == "-":
			old = strings.TrimSpace(rest)
		case mark == "+":
			if file == "" || old == "" {
				return nil, fmt.Errorf("plan.mutants:%d: a + without a file or a - before it", n+1)
			}
			list, old = append(list, mutant{file, old, strings.TrimSpace(rest)}), ""
		case rest == "" && strings.HasSuffix(mark, ".go"):
			file = mark
		default:
			return nil, fmt.Errorf("plan.mutants:%d: neither a file nor a pair of lines: %q", n+1, line)
		}
	}
	return list, nil
}

// lab tries mutants in a directory of its own; the sources are not touched.
type lab struct{ root, dir string }

func (l lab) try(i int, m mutant) verdict {
	overlay, err := l.overlay(i, m)
	if err != nil {
		return verdict{err: err}
	}
	bin := filepath.Join(l.dir, fmt.Sprintf("m%d.test", i))
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", bin, "./"+pkg) //nolint:noctx // the whole program ends with it
	build.Dir = l.root
	if out, err := build.CombinedOutput(); err != nil {
		return verdict{err: fmt.Errorf("it does not compile: %s", out)}
	}
	defer os.Remove(bin)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	test := exec.CommandContext(ctx, bin, "-test.short", "-test.failfast")
	test.Dir = filepath.Join(l.root, pkg)
	out, err := test.CombinedOutput()
	switch {
	case err == nil:
		return verdict{err: errAlive}
	case ctx.Err() != nil:
		return verdict{by: "its tests do not end"}
	}
	return verdict{by: killer(string(out))}
}

// killer finds the name of the first test that failed.
func killer(out string) string {
	for _, line := range strings.Split(out, "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name
		}
	}
	return "a panic"
}

// overlay writes the broken file and tells the compiler to take it instead.
func (l lab) overlay(i int, m mutant) (string, error) {
	path := filepath.Join(l.root, pkg, m.file)
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	lines, found := strings.Split(string(b), "\n"), 0
	for n, line := range lines {
		if strings.TrimSpace(line) == m.old {
			lines[n] = m.new
			found++
		}
	}
	if found != 1 {
		return "", fmt.Errorf("the line is there %d times: bring plan.mutants up to date", found)
	}
	broken := filepath.Join(l.dir, fmt.Sprintf("m%d.go", i))
	if err := os.WriteFile(broken, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(l.dir, fmt.Sprintf("m%d.json", i))
	return name, os.WriteFile(name, text, 0o600)
}
