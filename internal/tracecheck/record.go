package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// record is one scenario: a pod with its script, and what an agent did with it.
// All times are milliseconds after the pod was made.
type record struct {
	Name, Source string
	Pod          *corev1.Pod
	// Deleted is when the deletion was asked for, Gone when the pod's object went
	// away.
	Deleted, Gone *int64
	Calls         []call
	Statuses      []statusAt
	Events        []eventAt
}

// call is one call of the runtime. End is -1 for one that never ended.
type call struct {
	T, End    int64
	RPC       string
	Container string
	Attempt   *uint32
	Fields    map[string]any
	Err       string
}

type statusAt struct {
	T      int64
	Status corev1.PodStatus
}

type eventAt struct {
	T                             int64
	Type, Reason, Object, Message string
}

// end is when the record ends: the last thing in it.
func (r *record) end() int64 {
	var last int64
	for _, c := range r.Calls {
		last = max(last, c.T, c.End)
	}
	for _, s := range r.Statuses {
		last = max(last, s.T)
	}
	for _, e := range r.Events {
		last = max(last, e.T)
	}
	return last
}

// static says that the pod came from a manifest, not from an API server.
func (r *record) static() bool { return strings.HasPrefix(r.Source, "static") }

// recording is a scenario as one file has it. Where a file holds the normal form
// alone, the pod is that of a raw record of the same name.
type recording struct {
	file string
	rec  *record
	norm *normal
}

// read returns what lies in dir: the records of all *.jsonl.gz, and those of
// *.norm.jsonl.gz that have no raw file beside them.
func read(dir string) ([]recording, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var out []recording
	for _, path := range paths {
		base := strings.TrimSuffix(filepath.Base(path), ".jsonl.gz")
		raw, isNorm := strings.CutSuffix(base, ".norm")
		if isNorm && slices.Contains(paths, filepath.Join(dir, raw+".jsonl.gz")) {
			continue
		}
		list, err := readFile(path, isNorm)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		for i := range list {
			list[i].file = base
		}
		out = append(out, list...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no *.jsonl.gz", dir)
	}
	return lend(out), nil
}

// lend gives scenarios in normal form the pod of a raw record.
func lend(list []recording) []recording {
	for i, r := range list {
		if r.rec.Pod != nil {
			continue
		}
		for _, other := range list {
			if other.rec.Pod != nil && other.rec.Name == r.rec.Name && other.rec.static() == r.rec.static() {
				list[i].rec = other.rec
			}
		}
	}
	return list
}

func readFile(path string, norm bool) ([]recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []recording
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		r := recording{rec: &record{}}
		if norm {
			r.norm = &normal{}
			if err := json.Unmarshal(lines.Bytes(), r.norm); err != nil {
				return nil, err
			}
			n := r.norm
			n.calls, n.statuses, n.events = moments(n.Calls), moments(n.Statuses), moments(n.Events)
			r.rec.Name, r.rec.Source = n.Name, n.Source
		} else {
			if err := json.Unmarshal(lines.Bytes(), r.rec); err != nil {
				return nil, err
			}
			if r.rec.Pod == nil {
				return nil, fmt.Errorf("scenario %q has no pod", r.rec.Name)
			}
			r.norm = normalise(r.rec)
		}
		out = append(out, r)
	}
	return out, lines.Err()
}
