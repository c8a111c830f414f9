package local

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// barWidth is how many characters the whole of a timeline takes.
const barWidth = 48

// WriteTimeline draws spans for people: a line each by the time they began, with
// a bar and milliseconds.
func WriteTimeline(w io.Writer, spans []Span) error {
	if len(spans) == 0 {
		return nil
	}
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	begin := spans[0].Start
	end := slices.MaxFunc(spans, func(a, b Span) int { return a.End.Compare(b.End) }).End
	whole := max(end.Sub(begin), 1)
	for _, s := range spans {
		from := int(barWidth * s.Start.Sub(begin) / whole)
		to := int(barWidth * s.End.Sub(begin) / whole)
		bar := strings.Repeat(" ", from) + strings.Repeat("█", max(to-from, 1))
		name := strings.TrimSpace(s.Name + " " + shortKey(s.Detail))
		if _, err := fmt.Fprintf(w, "  %-32.32s %-*s %9.2f ms\n", name, barWidth+1, bar, float64(s.End.Sub(s.Start).Microseconds())/1000); err != nil {
			return err
		}
	}
	return nil
}

// shortKey cuts the id of a container in an action's key.
func shortKey(key string) string {
	if what, id, ok := strings.Cut(key, "/"); ok && len(id) == 64 {
		return what + "/" + id[:8]
	}
	return key
}
