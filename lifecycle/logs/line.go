package logs

import (
	"bytes"
	"fmt"
	"time"
)

// Line is one line of a log file.
type Line struct {
	Time time.Time
	// Stream is "stdout" or "stderr".
	Stream string
	// Partial says that the output's line goes on in the next one.
	Partial bool
	// Text without the line's end.
	Text []byte
}

// Parse reads one line, with or without its end. Times with any number of
// fractional digits are accepted, and tags besides P and F are skipped. Text
// points into b.
func Parse(b []byte) (Line, error) {
	b = bytes.TrimSuffix(b, []byte("\n"))
	stamp, rest, ok := bytes.Cut(b, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tags, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !ok3 {
		return Line{}, fmt.Errorf("log line %.40q: not of the form <time> <stream> <tags> <text>", b)
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return Line{}, fmt.Errorf("log line %.40q: %w", b, err)
	}
	if s := string(stream); s != "stdout" && s != "stderr" {
		return Line{}, fmt.Errorf("log line %.40q: unknown stream %q", b, s)
	}
	first, _, _ := bytes.Cut(tags, []byte(":"))
	return Line{Time: t, Stream: string(stream), Partial: string(first) == "P", Text: text}, nil
}
