package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A pod that is deleted while its image is pulled, told as the kubelet was seen
// to go about it: it waits for the pull, starts the container and stops it.
const deletedInPull = `{"name": "delete-in-pull", "source": "api", "deleted": 5000, "gone": 15600,
"pod": {"metadata": {"name": "delete-in-pull", "namespace": "default",
  "annotations": {"script/app": "{\"image\":{\"present\":false,\"pulls\":[{\"for\":\"15s\"}]}}"}},
  "spec": {"containers": [{"name": "app", "image": "fake/delete-in-pull/app:1"}]}},
"calls": [
 {"t": 100, "end": 100, "rpc": "RunPodSandbox", "attempt": 0, "fields": {"hostname": "delete-in-pull", "namespaces": "net=POD pid=CONTAINER ipc=POD"}},
 {"t": 120, "end": 120, "rpc": "ImageStatus", "container": "app"},
 {"t": 130, "end": 15130, "rpc": "PullImage", "container": "app", "fields": {"image": "fake/delete-in-pull/app:1"}},
 {"t": 15131, "end": 15131, "rpc": "ImageStatus", "container": "app"},
 {"t": 15132, "end": 15132, "rpc": "ImageStatus", "container": "app"},
 {"t": 15140, "end": 15140, "rpc": "CreateContainer", "container": "app", "attempt": 0, "fields": {"image": "fake/delete-in-pull/app:1", "log": "app/0.log", "namespaces": "net=POD pid=CONTAINER ipc=POD", "oomScoreAdj": 1000}},
 {"t": 15150, "end": 15150, "rpc": "StartContainer", "container": "app", "attempt": 0},
 {"t": 15160, "end": 15160, "rpc": "StopContainer", "container": "app", "attempt": 0, "fields": {"timeout": 30}},
 {"t": 15170, "end": 15170, "rpc": "StopPodSandbox", "attempt": 0}],
"events": [
 {"t": 300, "type": "Normal", "reason": "Pulling", "object": "spec.containers{app}", "message": "Pulling image \"fake/delete-in-pull/app:1\""},
 {"t": 15131, "type": "Normal", "reason": "Pulled", "object": "spec.containers{app}", "message": "Successfully pulled image \"fake/delete-in-pull/app:1\" in 15s (15s including waiting). Image size: 1 bytes."},
 {"t": 15140, "type": "Normal", "reason": "Created", "object": "spec.containers{app}", "message": "Container created"},
 {"t": 15150, "type": "Normal", "reason": "Started", "object": "spec.containers{app}", "message": "Container started"},
 {"t": 15160, "type": "Normal", "reason": "Killing", "object": "spec.containers{app}", "message": "Stopping container app"}]}`

func TestDeletedInPull(t *testing.T) {
	in := &record{}
	if err := json.Unmarshal([]byte(deletedInPull), in); err != nil {
		t.Fatal(err)
	}
	out, err := simulate(t, in)
	if err != nil {
		t.Fatal(err)
	}
	// The kubelet's last status is ours but for the instance that ours never had.
	first, second, last := out.Statuses[0], out.Statuses[1], out.Statuses[len(out.Statuses)-1]
	first.T, second.T, last.T = 400, 500, 15180
	last.Status = *last.Status.DeepCopy()
	last.Status.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: 143, Reason: "Error"}
	for i := range last.Status.Conditions {
		if c := &last.Status.Conditions[i]; strings.HasSuffix(string(c.Type), "Ready") {
			c.Reason, c.Message = "PodFailed", ""
		}
	}
	in.Statuses = []statusAt{first, second, last}
	v := compare(in, normalise(in), normalise(out))
	if len(v.diffs) > 0 || len(v.kinds) != 1 || !v.kinds[cancelInFlight] {
		t.Errorf("%v %q", v, v.diffs)
	}
	// Without a deletion the same calls are no lifepod's.
	in.Deleted, in.Gone = nil, nil
	if v := compare(in, normalise(in), normalise(out)); len(v.diffs) == 0 {
		t.Errorf("without a deletion: %v", v)
	}
}

// What an annotation says that no runtime can follow is told, not ignored.
func TestScriptsAreRefused(t *testing.T) {
	for key, text := range map[string]string{
		"script/app": `{"rnus":[]}`, "script.sandbox": `{"die":"5s"}`, "script/b": `{"runs":[{"for":"soon"}]}`,
	} {
		p := &corev1.Pod{}
		p.Annotations = map[string]string{key: text}
		if _, err := scripted(p); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// The grace of a deletion is read off the stops that followed it.
func TestAskedGrace(t *testing.T) {
	at := int64(5000)
	stop := func(t int64, timeout float64) call {
		return call{T: t, End: t, RPC: "StopContainer", Fields: map[string]any{"timeout": timeout}}
	}
	for _, c := range []struct {
		stops []call
		want  int64 // seconds, -1 for the pod's own
	}{
		{nil, -1},
		{[]call{stop(5010, 30)}, -1},
		{[]call{stop(5010, 2)}, 1},
		{[]call{stop(5010, 12)}, 12},
		{[]call{stop(8050, 9), stop(5010, 12)}, 12},
		{[]call{stop(35010, 2)}, -1}, // the hook took the whole grace
	} {
		r := &record{Pod: &corev1.Pod{}, Deleted: &at, Calls: slices.Clone(c.stops)}
		got := int64(-1)
		if g := r.asked(); g != nil {
			got = int64(g.Seconds())
		}
		if got != c.want {
			t.Errorf("%v: %d s, want %d s", c.stops, got, c.want)
		}
	}
}
