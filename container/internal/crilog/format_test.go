package crilog

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2016, 10, 6, 0, 17, 9, 669794202, time.UTC)

func TestFormat(t *testing.T) {
	const p = "2016-10-06T00:17:09.669794202Z stdout "
	long := strings.Repeat("x", MaxLine)
	for name, c := range map[string]struct {
		in    string
		flush bool
		out   string
		used  int
	}{
		"nothing":               {"", false, "", 0},
		"one line":              {"a b\n", false, p + "F a b\n", 4},
		"an empty line":         {"\n", false, p + "F \n", 1},
		"two":                   {"a\nb\n", false, p + "F a\n" + p + "F b\n", 4},
		"carriage return":       {"a\r\n", false, p + "F a\n", 3},
		"only the whole":        {"a\nrest", false, p + "F a\n", 2},
		"flushed":               {"a\nrest", true, p + "F a\n" + p + "P rest\n", 6},
		"exactly the limit":     {long + "\n", false, p + "F " + long + "\n", MaxLine + 1},
		"the limit, no end yet": {long, false, "", 0},
		"one more":              {long + "y\n", false, p + "P " + long + "\n" + p + "F y\n", MaxLine + 2},
		"time has nine digits":  {"z\n", false, p + "F z\n", 2},
	} {
		out, used, entries := Format(nil, "stdout", at, []byte(c.in), c.flush, 1<<20)
		if string(out) != c.out || used != c.used || entries != strings.Count(c.out, "\n") {
			t.Errorf("%s: %d of %d bytes, %d entries: %.200q", name, used, len(c.in), entries, out)
		}
	}
	whole := time.Date(2016, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	if out, _, _ := Format(nil, "stderr", whole, []byte("a\n"), false, 100); string(out) != "2016-01-02T02:04:05.000000000Z stderr F a\n" {
		t.Errorf("%q", out)
	}
}

func TestFormatStopsAtTheLimit(t *testing.T) {
	in := bytes.Repeat([]byte("\n"), 60000)
	out, used, entries := Format(nil, "stdout", at, in, false, 4096)
	if len(out) > 5000 || used != entries || used == 0 || used == len(in) {
		t.Errorf("%d bytes for %d of %d", len(out), used, len(in))
	}
}

// Whatever comes, in whatever pieces, is in the entries once and in order.
func FuzzFormat(f *testing.F) {
	f.Add([]byte("a\nb\r\nc"), true, 3)
	f.Add(bytes.Repeat([]byte("x"), 3*MaxLine), false, 1)
	f.Fuzz(func(t *testing.T, data []byte, flush bool, limit int) {
		out, used, entries := Format(nil, "stdout", at, data, flush, limit)
		if used < 0 || used > len(data) || bytes.Count(out, []byte("\n")) != entries {
			t.Fatalf("%d of %d bytes, %d entries in %q", used, len(data), entries, out)
		}
		var text []byte
		for line := range bytes.Lines(out) {
			body := line[len("2016-10-06T00:17:09.669794202Z stdout F "):]
			if len(body) > MaxLine+1 {
				t.Fatalf("an entry of %d bytes", len(body))
			}
			if line[len("2016-10-06T00:17:09.669794202Z stdout ")] == 'P' {
				body = body[:len(body)-1]
			}
			text = append(text, body...)
		}
		if want := bytes.ReplaceAll(data[:used], []byte("\r\n"), []byte("\n")); !bytes.Equal(text, want) {
			t.Fatalf("entries hold %q, want %q", text, want)
		}
	})
}
