package main

import (
	"os"
	"time"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/volume/atomicwriter"
)

// checkBackoff lets time pass and fails whenever no delay is under way.
func checkBackoff(line []byte) (map[string]any, error) {
	type step struct {
		After float64 `json:"afterSeconds"`
		In    bool    `json:"inBackoffSinceUpdate"`
		Delay float64 `json:"backoffSeconds"`
	}
	in, err := question[struct{ InitialSeconds, MaxSeconds float64 }](line)
	if err != nil {
		return nil, err
	}
	// The pauses are part of the answer.
	want, err := field[[]step](line, "out")
	if err != nil {
		return nil, err
	}
	policy := plan.BackoffPolicy{Initial: seconds(in.InitialSeconds), Max: seconds(in.MaxSeconds)}
	now, entry, out := time.Unix(1_000_000, 0), plan.BackoffEntry{}, []step{}
	for _, s := range want {
		now = now.Add(seconds(s.After))
		end, delayed := policy.Until(entry, now, entry.Updated)
		if delayed = delayed && now.Before(end); !delayed {
			entry = policy.Next(entry, now, now)
		}
		out = append(out, step{s.After, delayed, entry.Delay.Seconds()})
	}
	return answer(out), nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// writesPerDir is how many lines write to one directory.
const writesPerDir = 3

// newAtomicWriter answers line by line in directories of its own.
func newAtomicWriter() (check, func()) {
	n, dir := 0, ""
	done := func() { os.RemoveAll(dir) }
	return func(line []byte) (map[string]any, error) {
		in, err := question[map[string]struct {
			Data string
			Mode uint32
		}](line)
		if err != nil {
			return nil, err
		}
		if n%writesPerDir == 0 {
			done()
			if dir, err = os.MkdirTemp("", "corpuscheck-"); err != nil {
				return nil, err
			}
		}
		n++
		files := map[string]atomicwriter.File{}
		for path, f := range in {
			files[path] = atomicwriter.File{Data: []byte(f.Data), Mode: f.Mode}
		}
		changed, writeErr := atomicwriter.Write(dir, files, nil)
		tree, err := atomicwriter.Tree(dir)
		if tree == nil {
			tree = []string{}
		}
		out := map[string]any{"changed": changed, "tree": tree}
		if writeErr != nil {
			out["error"] = writeErr.Error()
		}
		return answer(out), err
	}, done
}
