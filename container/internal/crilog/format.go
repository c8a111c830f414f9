package crilog

import (
	"bytes"
	"time"
)

// MaxLine is how many bytes of a line stand in one entry; longer lines are cut
// into entries tagged P, and a last one tagged F.
// A carriage return before a line's end is dropped with it.
const MaxLine = 16 << 10

// timeFormat is RFC 3339 with all nine digits.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// Format appends the entries for the lines in data to dst, all with time now. It
// returns dst, how many bytes of data they stand for and how many entries they
// are. A last line without its end is left, unless flush says that no more will
// come soon: then it is an entry tagged P. It stops after about limit bytes of
// output.
func Format(dst []byte, stream string, now time.Time, data []byte, flush bool, limit int) (_ []byte, used, entries int) {
	prefix := append(now.UTC().AppendFormat(nil, timeFormat), ' ')
	prefix = append(append(prefix, stream...), ' ')
	for used < len(data) && len(dst) < limit {
		rest := data[used:]
		line, tag, n := rest, byte('P'), len(rest)
		if i := bytes.IndexByte(rest[:min(len(rest), MaxLine+1)], '\n'); i >= 0 {
			line, tag, n = bytes.TrimSuffix(rest[:i], []byte{'\r'}), 'F', i+1
		} else if len(rest) > MaxLine || len(rest) == MaxLine && flush {
			line, n = rest[:MaxLine], MaxLine
		} else if !flush {
			break
		}
		dst = append(append(dst, prefix...), tag, ' ')
		dst = append(append(dst, line...), '\n')
		used, entries = used+n, entries+1
	}
	return dst, used, entries
}
