package show

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

func at(ms int) time.Time { return time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond) }

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// aView is a pod in the middle of its start.
func aView(name string) *podView {
	v := &podView{pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	v.status = corev1.PodStatus{
		Phase: corev1.PodPending, PodIP: "10.0.0.2",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: "containers with unready status: [app log]"},
			{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady"},
		},
		InitContainerStatuses: []corev1.ContainerStatus{
			{Name: "prepare", Ready: true, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}},
		},
		ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			{Name: "log", RestartCount: 3, State: waiting("ImagePullBackOff", "Back-off pulling image \"x\"")},
		},
	}
	v.spans = []local.Span{
		{Name: local.PhaseReady, Start: at(0)},
		{Name: local.PhaseAPI, Start: at(0), End: at(10)},
		{Name: "StartContainer", Container: "app", Start: at(10), End: at(60)},
		{Name: "cri/start", Container: "app", Start: at(50), End: at(60)},
		{Name: "PullImage", Container: "log", Start: at(60), End: at(70), Error: "no such host"},
		{Name: "CheckImage", Container: "app", Start: at(5), End: at(10)},
	}
	return v
}

func text(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(strings.TrimRight(r.paint(false), " ") + "\n")
	}
	return b.String()
}

const head = `
Name: web  Status: Pending  IP: 10.0.0.2
Containers  State       Ready  Restart Count  Reason
  prepare   Terminated  True   0              Completed
  app       Running     True   0
  log       Waiting     False  3              ImagePullBackOff: B…`

func TestPanel(t *testing.T) {
	for name, c := range map[string]struct {
		height int
		want   string
	}{
		"room for all": {30, head + `
Conditions         Status  Reason
  Initialized      True
  Ready            False   ContainersNotReady: containers with un…
  ContainersReady  False   ContainersNotReady
Timeline
  API processing ███                                    10.00 ms
  image app       ██                                     5.00 ms
  image log                          ███                10.00 ms !
  create app        ██████████████                      40.00 ms
  start app                       ███                   10.00 ms
  Ready          ██████████████████████████████████    100.00 ms …
`},
		"a bar a phase": {15, head + `
Conditions         Status  Reason
  Initialized      True
  Ready            False   ContainersNotReady: containers with un…
  ContainersReady  False   ContainersNotReady
Timeline
  API processing ███                                    10.00 ms
  image           ██                 ███                15.00 ms !
  create            ██████████████                      40.00 ms
  start                           ███                   10.00 ms
  Ready          ██████████████████████████████████    100.00 ms …
`},
		"conditions in words": {14, head + `
Initialized=True Ready=False ContainersReady=False
Timeline
  API processing ███                                    10.00 ms
  image           ██                 ███                15.00 ms !
  create            ██████████████                      40.00 ms
  start                           ███                   10.00 ms
  Ready          ██████████████████████████████████    100.00 ms …
`},
		"no bars":    {11, head + "\nInitialized=True Ready=False ContainersReady=False\n"},
		"a few rows": {3, "\nName: web  Status: Pending  IP: 10.0.0.2\nContainers  State       Ready  Restart Count  Reason\n  … 4 more lines\n"},
		"one row":    {1, "\nName: web  Status: Pending  IP: 10.0.0.2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := panel{pods: []*podView{aView("web")}}
			if got := "\n" + text(p.rows(66, c.height, at(100))); got != c.want {
				t.Errorf("panel of %d rows:%s\nwant:%s", c.height, got, c.want)
			}
		})
	}
}

// Whatever the size, nothing is outside it.
func TestPanelKeepsTheSize(t *testing.T) {
	for pods := range 4 {
		p := panel{notes: []string{"stopping pod web", "ümläut 日本"}}
		for i := range pods {
			p.pods = append(p.pods, aView(fmt.Sprint("pod-", i)))
		}
		for height := range 50 {
			for width := 1; width < 100; width++ {
				rows := p.rows(width, height, at(100))
				if len(rows) > height {
					t.Fatalf("%d pods take %d rows of %d", pods, len(rows), height)
				}
				for _, r := range rows {
					if n := utf8.RuneCountInString(r.paint(false)); n > width {
						t.Fatalf("%d columns of %d: %q", n, width, r.paint(false))
					}
				}
			}
		}
	}
}

func TestPodsShareTheHeight(t *testing.T) {
	p := panel{pods: []*podView{aView("one"), aView("two")}}
	got := text(p.rows(80, 30, at(100)))
	if !strings.Contains(got, "Name: one") || !strings.Contains(got, "Name: two") || strings.Count(got, "Timeline") != 2 {
		t.Errorf("two pods in 30 rows:\n%s", got)
	}
}

func TestOccupied(t *testing.T) {
	rows := []row{{{"12345", plain}, {"67890", bold}, {"    ", plain}}, {{"", plain}}, {{"123", plain}}}
	for width, want := range map[int]int{80: 3, 10: 3, 9: 4, 5: 4, 3: 6, 1: 14} {
		if got := occupied(rows, width); got != want {
			t.Errorf("at a width of %d they take %d lines, want %d", width, got, want)
		}
	}
}

func TestPaint(t *testing.T) {
	r := row{{"a", bold}, {"b", plain}, {"", red}}
	if got := r.paint(true); got != "\x1b[1ma\x1b[mb" {
		t.Errorf("in colours %q", got)
	}
	if got := r.paint(false); got != "ab" {
		t.Errorf("without %q", got)
	}
}

// What containers and registries say moves no cursor.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b]0;title\x07", "a\r\nb\tc", "\x9b2J", "\xff\xfe", "\u202egnp.exe", "\u2028"} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		got := row{{s, plain}, {s, red}}.fit(width % 1000).paint(false)
		for _, r := range got {
			if unicode.IsControl(r) || r == '\u202e' || r == '\u2028' {
				t.Fatalf("%q became %q", s, got)
			}
		}
		if n := utf8.RuneCountInString(got); n > max(width%1000, 0) {
			t.Fatalf("%d columns of %d", n, width%1000)
		}
	})
}
