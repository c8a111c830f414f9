package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A check answers one line of a file as lifepod would, in the line's own words:
// the keys it computes, as plain values. A check that needs the lines before
// keeps state; each file gets a new one, which is done with at the file's end.
type check func(line []byte) (got map[string]any, err error)

// kind is one sort of line. A nil check means that lifepod has no code for it.
type kind struct {
	newCheck func() (c check, done func())
	// given are keys of the line that are questions, not answers.
	given []string
}

// plain is for a check without state.
func plain(c check) func() (check, func()) { return func() (check, func()) { return c, func() {} } }

// kinds says what can be checked. Lines with a field "kind" are looked up as
// file/kind.
var kinds = map[string]kind{
	"qos":                  {plain(checkQOS), []string{"id", "in", "valid"}},
	"phase":                {plain(checkPhase), []string{"id", "pod", "podIsTerminal", "podHasInitialized"}},
	"vectors/expand":       {plain(checkExpand), []string{"kind", "in"}},
	"vectors/cpu":          {plain(checkCPU), []string{"kind", "in"}},
	"vectors/quantity":     {plain(checkQuantity), []string{"kind", "in"}},
	"vectors/cgroupName":   {plain(checkCgroupName), []string{"kind", "in"}},
	"vectors/backoff":      {plain(checkBackoff), []string{"kind", "in"}},
	"vectors/atomicWriter": {newAtomicWriter, []string{"kind", "in"}},
	"pods":                 {nil, nil}, // what default and validate are made of
	"default":              {plain(checkDefault), []string{"id", "in"}},
	"validate":             {plain(checkValidate), []string{"id", "mutations", "in", "warnings"}},
	"psa":                  {nil, nil},
	"admit":                {nil, nil},
	"schedule":             {nil, nil},
}

// result is what came of one kind in one file.
type result struct {
	file, kind  string
	same, total int
	noCode      bool
	differences []string // of the first few lines that differ
}

func (r *result) differs() bool { return !r.noCode && r.same != r.total }

const shown = 5

func (r *result) String() string {
	if r.noCode {
		return fmt.Sprintf("%s %s: no code for this yet (%d lines)\n", r.file, r.kind, r.total)
	}
	s := fmt.Sprintf("%s %s: %d same of %d\n", r.file, r.kind, r.same, r.total)
	for _, d := range r.differences {
		s += "  " + d + "\n"
	}
	return s
}

// checkDir checks every data file in dir, in the order of their names.
func checkDir(dir string) ([]*result, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var results []*result
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".jsonl.gz") {
			rs, err := checkFile(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			results = append(results, rs...)
		}
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s holds no .jsonl or .jsonl.gz file", dir)
	}
	return results, nil
}

func checkFile(path string) ([]*result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	c := &fileCheck{name: filepath.Base(path), checks: map[string]check{}}
	defer c.close()
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := c.line(n, line); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", path, n, err)
			}
		}
		if err == io.EOF {
			return c.results, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
}

type fileCheck struct {
	name    string
	checks  map[string]check
	done    []func()
	results []*result
}

func (f *fileCheck) close() {
	for _, done := range f.done {
		done()
	}
}

func (f *fileCheck) line(n int, line []byte) error {
	want, err := decode(line)
	if err != nil {
		return err
	}
	stem := f.name[:len(f.name)-len(strings.TrimLeft(f.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
	name := stem
	if sub, ok := want["kind"].(string); ok {
		name += "/" + sub
	}
	k := kinds[name]
	r := f.result(strings.TrimPrefix(name, stem+"/"), k.newCheck == nil)
	r.total++
	if r.noCode {
		return nil
	}
	if f.checks[name] == nil {
		c, done := k.newCheck()
		f.checks[name], f.done = c, append(f.done, done)
	}
	got, err := f.checks[name](line)
	if err != nil {
		return err
	}
	for _, key := range k.given {
		delete(want, key)
	}
	d, err := diff(want, got)
	if err != nil {
		return err
	}
	if len(d) == 0 {
		r.same++
	} else if len(r.differences) < shown {
		r.differences = append(r.differences, fmt.Sprintf("line %d: %s", n, strings.Join(d[:min(len(d), shown)], "; ")))
	}
	return nil
}

func (f *fileCheck) result(kind string, noCode bool) *result {
	i := slices.IndexFunc(f.results, func(r *result) bool { return r.kind == kind })
	if i < 0 {
		i = len(f.results)
		f.results = append(f.results, &result{file: f.name, kind: kind, noCode: noCode})
	}
	return f.results[i]
}

func decode(line []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var m map[string]any
	err := d.Decode(&m)
	return m, err
}
