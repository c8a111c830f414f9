package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// every is which share of the changes is tried; all of them with
// LIFEPOD_TAMPER=all.
func every() int {
	if os.Getenv("LIFEPOD_TAMPER") == "all" {
		return 1
	}
	return 8
}

// TestTampered: a recording that was changed in one place is no longer equal. In
// a scenario that is equal without any kind every change is found; where a kind
// allows something, nearly all are.
func TestTampered(t *testing.T) {
	list, err := readFile("testdata/api-1.jsonl.gz", false)
	if err != nil {
		t.Fatal(err)
	}
	seen, tried, missed := 0, 0, 0
	for _, r := range list {
		our, err := simulate(t, r.rec)
		if err != nil {
			t.Fatal(err)
		}
		n := normalise(our)
		whole := compare(r.rec, r.norm, n)
		if len(whole.diffs) > 0 {
			continue // the other recording is the one that is equal
		}
		changes := tamperings(r.rec)
		for _, what := range slices.Sorted(maps.Keys(changes)) {
			change := changes[what]
			if seen++; seen%every() != 0 {
				continue
			}
			changed := copyOf(t, r.rec)
			change(changed)
			tried++
			if v := compare(changed, normalise(changed), n); len(v.diffs) > 0 {
				continue
			}
			missed++
			if len(whole.kinds) == 0 {
				t.Errorf("%s: %s is not found", r.rec.Name, what)
			}
		}
	}
	if seen < 1500 || missed*40 > tried {
		t.Errorf("%d of %d changes are not found", missed, tried)
	}
	t.Logf("%d of %d changes are not found", missed, tried)
}

func copyOf(t *testing.T, r *record) *record {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out := &record{}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// tamperings are the changes to try. Probes are left out: how many there are is
// free by one, and so are removals, whose time is the collector's.
func tamperings(r *record) map[string]func(*record) {
	out := map[string]func(*record){}
	probes := r.probeCommands()
	for i, c := range r.Calls {
		cmd, _ := c.Fields["cmd"].(string)
		if strings.HasPrefix(c.RPC, "Remove") || probes[c.Container+" "+cmd] != nil {
			continue
		}
		name := fmt.Sprintf("call %d, %s", i, callText(c))
		out["no "+name] = func(x *record) { x.Calls = slices.Delete(x.Calls, i, i+1) }
		out["other "+name] = func(x *record) { x.Calls[i].RPC += "X" }
		if c.Attempt != nil {
			out["next attempt "+name] = func(x *record) { *x.Calls[i].Attempt++ }
		}
		if c.RPC == "StopContainer" {
			out["other timeout "+name] = func(x *record) { x.Calls[i].Fields["timeout"] = x.Calls[i].Fields["timeout"].(float64) + 3 }
		}
		if c.Fields["image"] != nil && c.RPC == "CreateContainer" {
			out["other log "+name] = func(x *record) { x.Calls[i].Fields["log"] = "x" }
		}
	}
	for i, e := range r.Events {
		name := fmt.Sprintf("event %d, %s %s", i, e.Reason, e.Message)
		out["no "+name] = func(x *record) { x.Events = slices.Delete(x.Events, i, i+1) }
		out["other "+name] = func(x *record) { x.Events[i].Message += "x" }
	}
	last := len(r.Statuses) - 1
	out["no last status"] = func(x *record) { x.Statuses = x.Statuses[:last] }
	out["other phase"] = func(x *record) { x.Statuses[last].Status.Phase += "x" }
	out["other reason"] = func(x *record) { x.Statuses[last].Status.Reason += "x" }
	for i, c := range r.Statuses[last].Status.Conditions {
		out["other condition "+string(c.Type)] = func(x *record) { x.Statuses[last].Status.Conditions[i].Status += "x" }
	}
	for i, c := range r.Statuses[last].Status.ContainerStatuses {
		out["restarts of "+c.Name] = func(x *record) { x.Statuses[last].Status.ContainerStatuses[i].RestartCount++ }
		out["readiness of "+c.Name] = func(x *record) {
			x.Statuses[last].Status.ContainerStatuses[i].Ready = !x.Statuses[last].Status.ContainerStatuses[i].Ready
		}
		if c.State.Terminated != nil {
			out["exit code of "+c.Name] = func(x *record) { x.Statuses[last].Status.ContainerStatuses[i].State.Terminated.ExitCode++ }
		}
	}
	return out
}
