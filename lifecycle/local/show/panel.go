package show

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// panel is what a terminal shows of pods at one moment.
type panel struct {
	pods  []*podView
	notes []string // said by the program
}

// podView is what is known of one pod.
type podView struct {
	pod    *corev1.Pod
	status corev1.PodStatus
	spans  []local.Span
}

// detail is how much of a pod is drawn. Each level takes fewer rows than the one
// before.
type detail int

const (
	full     detail = iota
	perPhase        // one bar a phase for all containers
	inWords         // conditions side by side, too
	noBars
	levels
)

// rows draws the panel: at most height rows, at most width columns wide. Pods
// share the height; what one does not need is the others'.
func (p *panel) rows(width, height int, now time.Time) []row {
	notes := p.notes[max(0, len(p.notes)-height):]
	height -= len(notes)
	var out []row
	for i, v := range p.pods {
		out = append(out, v.rows(width, (height-len(out))/(len(p.pods)-i), now)...)
	}
	for _, n := range notes {
		out = append(out, row{{n, bold}})
	}
	for i := range out {
		out[i] = out[i].fit(width)
	}
	return out
}

// rows draws one pod with as much detail as fits.
func (v *podView) rows(width, height int, now time.Time) []row {
	var out []row
	for d := range levels {
		if out = v.drawn(d, width, now); len(out) <= height {
			return out
		}
	}
	if height <= 1 {
		return out[:max(height, 0)]
	}
	more := fmt.Sprintf("  … %d more lines", len(out)-height+1)
	return append(out[:height-1], row{{more, dim}})
}

func (v *podView) drawn(d detail, width int, now time.Time) []row {
	return slices.Concat([]row{v.head()}, v.containers(), v.conditions(d, width), v.bars(d, width, now))
}

func (v *podView) head() row {
	s := v.status
	style := map[corev1.PodPhase]style{
		corev1.PodPending: yellow, corev1.PodRunning: green, corev1.PodSucceeded: green, corev1.PodFailed: red,
	}[s.Phase]
	return row{
		{"Name: ", plain}, {v.pod.Name, bold}, {"  Status: ", plain}, {string(s.Phase), style},
		{because(s.Reason, s.Message), plain}, {"  IP: " + s.PodIP, dim},
	}
}

func (v *podView) containers() []row {
	rows := [][]piece{{{"Containers", bold}, {"State", dim}, {"Ready", dim}, {"Restart Count", dim}, {"Reason", dim}}}
	for _, c := range slices.Concat(v.status.InitContainerStatuses, v.status.ContainerStatuses) {
		state, reason, message := stateOf(c)
		rows = append(rows, []piece{
			{"  " + c.Name, plain}, {state, stateStyle(c)}, {title(c.Ready), plain}, {fmt.Sprint(c.RestartCount), plain},
			{strings.Trim(because(reason, message), " ()"), plain},
		})
	}
	return columns(rows)
}

func stateStyle(c corev1.ContainerStatus) style {
	switch s := c.State; {
	case s.Running != nil && c.Ready, s.Terminated != nil && s.Terminated.ExitCode == 0:
		return green
	case s.Terminated != nil:
		return red
	case s.Waiting != nil && s.Waiting.Reason != "PodInitializing" && s.Waiting.Reason != "ContainerCreating":
		return red
	}
	return yellow
}

func (v *podView) conditions(d detail, width int) []row {
	if d >= inWords {
		return v.conditionWords(width)
	}
	rows := [][]piece{{{"Conditions", bold}, {"Status", dim}, {"Reason", dim}}}
	for _, c := range v.status.Conditions {
		rows = append(rows, []piece{
			{"  " + string(c.Type), plain}, {string(c.Status), conditionStyle(c)},
			{strings.Trim(because(c.Reason, c.Message), " ()"), plain},
		})
	}
	return columns(rows)
}

// conditionWords puts as many conditions into a row as fit.
func (v *podView) conditionWords(width int) []row {
	var out []row
	var now row
	used := 0
	for _, c := range v.status.Conditions {
		n := len(c.Type) + len(c.Status) + 2
		if used+n > width && now != nil {
			out, now, used = append(out, now), nil, 0
		}
		now = append(now, piece{string(c.Type) + "=", plain}, piece{string(c.Status) + " ", conditionStyle(c)})
		used += n
	}
	if now != nil {
		out = append(out, now)
	}
	return out
}

func conditionStyle(c corev1.PodCondition) style {
	if c.Status == corev1.ConditionTrue {
		return green
	}
	return yellow
}

func (v *podView) bars(d detail, width int, now time.Time) []row {
	phases := local.Phases(v.spans, now)
	switch {
	case len(phases) == 0 || d >= noBars:
		return nil
	case d >= perPhase:
		phases = local.Together(phases)
	}
	out := []row{{{"Timeline", bold}}}
	for i, bar := range local.Bars(phases, width-2) {
		style := plain
		if phases[i].Error != "" {
			style = red
		}
		out = append(out, row{{"  " + bar, style}})
	}
	return out
}

// columns pads cells so that they stand below one another. The last of a row is
// left as it is.
func columns(rows [][]piece) []row {
	var widths []int
	for _, r := range rows {
		for i, p := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(p.text))
		}
	}
	out := make([]row, len(rows))
	for i, r := range rows {
		for j, p := range r {
			if j < len(r)-1 {
				p.text = fmt.Sprintf("%-*s", widths[j]+2, p.text)
			}
			out[i] = append(out[i], p)
		}
	}
	return out
}

// title is a truth as kubectl writes it.
func title(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
