package local_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// at is a moment of a timeline.
func at(ms int) time.Time { return time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond) }

func took(name, container string, from, to int) local.Span {
	return local.Span{Name: name, Container: container, Start: at(from), End: at(to)}
}

// aStart is the start of a pod with two containers, as its spans end.
func aStart() []local.Span {
	return []local.Span{
		took(local.PhaseReady, "", 0, 100),
		took(local.PhaseAPI, "", 0, 2),
		took(local.PhaseScheduling, "", 2, 3),
		took(local.PhaseNodeAdmission, "", 3, 5),
		took("EnsureCgroup", "", 5, 7),
		took("SetUpVolumes", "", 5, 9),
		took("CreateSandbox", "", 7, 20),
		took("cri/sandbox", "", 7, 20),
		took("cri/network", "", 10, 18),
		took("CheckImage", "app", 20, 21),
		took("PullImage", "app", 21, 40),
		took("cri/image", "app", 21, 40),
		took("StartContainer", "app", 40, 60),
		took("cri/create", "app", 41, 50),
		took("cri/snapshot", "app", 42, 44),
		took("cri/start", "app", 50, 60),
		took("RunPostStart", "app", 60, 65),
		took(local.PhaseProbes, "app", 60, 90),
		took("CheckImage", "log", 60, 61),
		took("StartContainer", "log", 61, 80),
		took("cri/create", "log", 61, 70),
		took("cri/start", "log", 70, 79),
	}
}

func ExampleWriteTimeline() {
	_ = local.WriteTimeline(os.Stdout, aStart())
	// Output:
	// API processing █                                                      2.00 ms
	// scheduling     █                                                      1.00 ms
	// node admission  █                                                     2.00 ms
	// image app               ██████████                                   20.00 ms
	// image log                                   █                         1.00 ms
	// sandbox          ██    █                                              7.00 ms
	// network            ████                                               8.00 ms
	// volumes          ██                                                   4.00 ms
	// create app                        █████                              10.00 ms
	// create log                                  █████                     9.00 ms
	// start app                              ███████                       15.00 ms
	// start log                                        ████                 9.00 ms
	// probes app                                  ███████████████          30.00 ms
	// Ready          █████████████████████████████████████████████████    100.00 ms
}

func TestPhases(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]local.Span) []local.Span
		want   string // lines that must be there
		not    string // and that must not
	}{
		"the account's phases, in its order": {
			want: "API processing 2|scheduling 1|node admission 2|image app 20|image log 1|sandbox 7|network 8|volumes 4|" +
				"create app 10|create log 9|start app 15|start log 9|probes app 30|Ready 100",
		},
		"what is under way counts up to now": {
			change: func(s []local.Span) []local.Span {
				s = s[:11]
				s[0].End, s[10].End = time.Time{}, time.Time{}
				return s
			},
			want: "image app 180 …|Ready 200 …",
			not:  "create",
		},
		"a create that goes over into the start is over": {
			change: func(s []local.Span) []local.Span {
				s = s[:16]
				s[0].End, s[12].End, s[15].End = time.Time{}, time.Time{}, time.Time{}
				return s
			},
			want: "create app 10|start app 150 …",
		},
		"a pull that failed and worked later": {
			change: func(s []local.Span) []local.Span {
				failed := took("PullImage", "app", 21, 25)
				failed.Error = "no such host"
				return append(s[:10], failed, took("PullImage", "app", 35, 40))
			},
			want: "image app 10",
		},
		"a start that failed is no create that failed": {
			change: func(s []local.Span) []local.Span {
				s[12].Error, s[15].Error = "no such file", "no such file"
				return s[:16]
			},
			want: "create app 10|start app 10 !",
		},
		"the last failure of a phase is told": {
			change: func(s []local.Span) []local.Span {
				s[10].Error = "no such host"
				return s[:11]
			},
			want: "image app 20 !",
		},
		"over a remote CRI a call is one bar": {
			change: func(s []local.Span) []local.Span {
				return slices.DeleteFunc(s, func(s local.Span) bool { return strings.HasPrefix(s.Name, "cri/") })
			},
			want: "sandbox, network 15|create, start app 25|create, start log 19",
			not:  "|start app",
		},
		"a restart after Ready is no part of the start": {
			change: func(s []local.Span) []local.Span {
				return append(s, took("StartContainer", "app", 500, 520), took("cri/start", "app", 510, 520))
			},
			want: "create app 10|start app 15|Ready 100",
		},
		"a restart before Ready is": {
			change: func(s []local.Span) []local.Span {
				return append(s, took("StartContainer", "app", 91, 95), took("cri/start", "app", 93, 95))
			},
			want: "create app 12|start app 17",
		},
		"nothing yet": {change: func([]local.Span) []local.Span { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			spans := aStart()
			if c.change != nil {
				spans = c.change(spans)
			}
			var got []string
			for _, p := range local.Phases(spans, at(200)) {
				row := strings.TrimSpace(p.Name+" "+p.Container) + " " + ms(p.Took())
				switch {
				case p.Open:
					row += " …"
				case p.Error != "":
					row += " !"
				}
				got = append(got, row)
			}
			text := "|" + strings.Join(got, "|") + "|"
			if !inOrder(text, strings.Split(c.want, "|")) || c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("phases %s\nwant %s, without %q", text, c.want, c.not)
			}
			if c.want == "" && len(got) > 0 {
				t.Errorf("phases of nothing: %s", text)
			}
		})
	}
}

func ms(d time.Duration) string { return strings.TrimSuffix(d.String(), "ms") }

// inOrder tells whether all rows are in text, one after another.
func inOrder(text string, rows []string) bool {
	for _, row := range rows {
		i := strings.Index(text, "|"+row+"|")
		if row != "" && i < 0 {
			return false
		}
		text = text[max(i, 0):]
	}
	return true
}

func TestTogether(t *testing.T) {
	var got []string
	for _, p := range local.Together(local.Phases(aStart(), at(200))) {
		got = append(got, p.Name+p.Container+" "+ms(p.Took()))
	}
	want := "API processing 2, scheduling 1, node admission 2, image 21, sandbox 7, network 8, volumes 4, create 19, start 24, probes 30, Ready 100"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("together %s\nwant %s", text, want)
	}
}

func TestBarsKeepTheWidth(t *testing.T) {
	phases := local.Phases(aStart(), at(200))
	phases[3].Container = strings.Repeat("long-", 20)
	for width := range 200 {
		for _, line := range local.Bars(phases, width) {
			if n := utf8.RuneCountInString(line); n > max(width, 15) {
				t.Fatalf("%d columns in a width of %d: %q", n, width, line)
			}
		}
	}
	if lines := local.Bars(nil, 80); len(lines) != 0 {
		t.Errorf("bars of nothing: %q", lines)
	}
}
