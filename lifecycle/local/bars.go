package local

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// timelineWidth is how many columns WriteTimeline takes.
const timelineWidth = 79

// WriteTimeline draws the phases of a start for people: a line each, with a bar
// and milliseconds.
func WriteTimeline(w io.Writer, spans []Span) error {
	for _, line := range Bars(Phases(spans, time.Now()), timelineWidth) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// Bars draws a line for each phase, at most width columns wide: its name, when it
// was at work, and for how long. After the time "…" says that it is under way, "!"
// that it failed. Too narrow a width leaves the bar out, and then cuts the name.
func Bars(phases []Phase, width int) []string {
	begin, end := bounds(phases)
	names := 0
	for _, p := range phases {
		names = max(names, utf8.RuneCountInString(p.label()))
	}
	const times = len(" 123456.78 ms …") - len("…") + 1
	names = min(names, max(width-times, 0), 32)
	bar := width - names - 1 - times
	lines := make([]string, len(phases))
	for i, p := range phases {
		text := ""
		if bar > 0 {
			text = " " + p.bar(begin, end.Sub(begin), bar)
		}
		took := float64(p.Took().Microseconds()) / 1000
		lines[i] = fmt.Sprintf("%-*.*s%s %9.2f ms%s", names, names, p.label(), text, took, p.mark())
	}
	return lines
}

func (p *Phase) label() string { return strings.TrimSpace(p.Name + " " + p.Container) }

func (p *Phase) mark() string {
	switch {
	case p.Open:
		return " …"
	case p.Error != "":
		return " !"
	}
	return ""
}

// bounds are the first and the last moment of all phases.
func bounds(phases []Phase) (begin, end time.Time) {
	for _, p := range phases {
		for _, s := range p.Parts {
			if begin.IsZero() || s.Start.Before(begin) {
				begin = s.Start
			}
			if s.End.After(end) {
				end = s.End
			}
		}
	}
	return begin, end
}

// bar draws the parts into width columns that stand for the time whole from
// begin; even the shortest part is seen.
func (p *Phase) bar(begin time.Time, whole time.Duration, width int) string {
	whole = max(whole, 1)
	column := func(t time.Time) int { return int(float64(width) * float64(t.Sub(begin)) / float64(whole)) }
	cells := slices.Repeat([]rune{' '}, width)
	for _, s := range p.Parts {
		from := min(column(s.Start), width-1)
		for i := from; i < min(max(column(s.End), from+1), width); i++ {
			cells[i] = '█'
		}
	}
	return string(cells)
}
