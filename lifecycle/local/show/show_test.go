package show_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local/show"
)

func ExampleNew() {
	var lines bytes.Buffer
	out := show.New(&lines, show.Options{JSON: true})
	out.Follow(context.Background(), aStory("web")) // in a program: what local's Run returned
	out.Close()
	for dec := json.NewDecoder(&lines); dec.More(); {
		var r show.Record
		if err := dec.Decode(&r); err != nil {
			fmt.Println(err)
		}
		if r.Type == "status" {
			fmt.Println(r.Pod.Name, r.Status.Phase, r.Status.Conditions[0].Status)
		}
	}
	// Output:
	// web Pending False
	// web Running False
	// web Running True
}

// What is not a terminal gets a line for each thing, in kubectl's words.
func TestLines(t *testing.T) {
	var b bytes.Buffer
	out := show.New(&b, show.Options{})
	pod := aStory("web")
	pod.events[0].Message = "\x1b[2Jtwo\nlines\x07"
	out.Follow(t.Context(), pod)
	out.Say(pod, "pod %s is gone", "web")
	out.Close()
	got := strings.Split(regexp.MustCompile(`(?m)^ *[0-9.]+s `).ReplaceAllString(b.String(), ""), "\n")
	slices.Sort(got) // statuses and events come as they come
	want := `
  API processing ████                                                10.00 ms
  Ready          ███████████████████████████████████████████████    100.00 ms
  create app         ██████████                                      20.00 ms
  create log                            █████████                    20.00 ms
  start app                    █████████                             20.00 ms
  start log                                      ██████████          20.00 ms
web  Condition ContainersReady: False (ContainersNotReady)
web  Condition ContainersReady: True
web  Condition PodScheduled: True
web  Condition Ready: False (ContainersNotReady)
web  Condition Ready: True
web  Container app: Running
web  Container app: Running, Ready
web  Container app: Waiting (ContainerCreating)
web  Container log: Running, Ready, Restart Count 2
web  Container log: Running, Restart Count 2
web  Container log: Waiting (ContainerCreating), Restart Count 2
web  Normal Created spec.containers{app}: event 2 of web
web  Normal Pulled spec.containers{app}: event 1 of web
web  Normal Scheduled spec.containers{app}: ^[[2Jtwo lines^G
web  Normal Started spec.containers{app}: event 3 of web
web  Status: Pending
web  Status: Running
web  Timeline:
web  pod web is gone`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("lines, sorted:\n%s\nwant:\n%s", text, want)
	}
	if strings.Index(b.String(), "Condition Ready: True") > strings.Index(b.String(), "Timeline:") {
		t.Errorf("the timeline comes before Ready:\n%s", b.String())
	}
}

// The JSON lines are a format that programs rely on: these keys stay.
func TestRecords(t *testing.T) {
	var b bytes.Buffer
	out := show.New(&b, show.Options{JSON: true})
	pod := aStory("web")
	out.Follow(t.Context(), pod)
	out.Say(pod, "bye")
	out.Close()
	count := map[string]int{}
	for line := range strings.Lines(b.String()) {
		var r map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		var kind string
		if err := json.Unmarshal(r["type"], &kind); err != nil {
			t.Fatal(err)
		}
		count[kind]++
		if len(r) != 4 || r["time"] == nil || string(r["pod"]) != `{"namespace":"default","name":"web","uid":"u-1"}` || r[kind] == nil {
			t.Errorf("a record of type %q has other keys: %s", kind, line)
		}
		if kind == "timeline" {
			checkTimeline(t, r[kind])
		}
	}
	want := map[string]int{"status": 3, "event": 4, "timeline": 1, "message": 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("records %v, want %v", count, want)
	}
}

func checkTimeline(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var tl map[string][]map[string]any
	if err := json.Unmarshal(raw, &tl); err != nil {
		t.Fatal(err)
	}
	var phases, spans []string
	for _, p := range tl["phases"] {
		phases = append(phases, fmt.Sprint(p["name"], " ", p["container"], " ", len(p["parts"].([]any))))
	}
	for _, s := range tl["spans"] {
		spans = append(spans, fmt.Sprint(s["name"], " ", s["start"] != nil && s["end"] != nil))
	}
	if got := strings.Join(phases, ","); got != "API processing <nil> 1,create app 1,create log 1,start app 1,start log 1,Ready <nil> 1" {
		t.Errorf("phases %s", got)
	}
	if got := strings.Join(spans, ","); got != "Ready true,API processing true,StartContainer true,cri/start true,StartContainer true,cri/start true" {
		t.Errorf("spans %s", got)
	}
}

// A pod that never was Ready has its timeline when nobody follows it any more.
func TestTimelineOfAPodThatFailed(t *testing.T) {
	var b bytes.Buffer
	out := show.New(&b, show.Options{})
	pod := aStory("web")
	failed := status(corev1.PodFailed, false)
	failed.Reason, failed.Message = "DeadlineExceeded", "too late"
	pod.statuses = []corev1.PodStatus{failed}
	out.Follow(t.Context(), pod)
	if text := b.String(); !strings.Contains(text, "Status: Failed (DeadlineExceeded: too late)") || !strings.Contains(text, "Timeline:") {
		t.Errorf("it shows\n%s", text)
	}
}

// What had happened when following is called off is shown, and nothing waits.
func TestFollowIsCalledOff(t *testing.T) {
	var b bytes.Buffer
	out := show.New(&b, show.Options{JSON: true})
	pod := aStory("web")
	pod.hold = make(chan struct{}) // never closed
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Follow(ctx, pod)
	out.Close()
	out.Close() // twice is once
	if n := strings.Count(b.String(), "\n"); n != 3+4+1 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}
