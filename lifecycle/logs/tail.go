package logs

import (
	"bytes"
	"io"
	"os"
)

// Tail returns the output of the last lines of a log file, at most maxBytes of
// it. Lines that cannot be parsed are left out.
func Tail(path string, lines, maxBytes int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := lastLines(f, lines)
	if err != nil {
		return "", err
	}
	var out []byte
	for line := range bytes.Lines(raw) {
		l, err := Parse(line)
		if err != nil {
			continue
		}
		out = append(out, l.Text...)
		if !l.Partial {
			out = append(out, '\n')
		}
	}
	if len(out) > maxBytes {
		out = out[len(out)-maxBytes:]
	}
	return string(out), nil
}

// lastLines reads backwards, block by block, until it has n full lines.
func lastLines(f *os.File, n int) ([]byte, error) {
	const block = 4096
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	var got []byte
	for end > 0 && bytes.Count(got, []byte("\n")) <= n {
		begin := max(0, end-block)
		b := make([]byte, end-begin)
		if _, err := f.ReadAt(b, begin); err != nil {
			return nil, err
		}
		got, end = append(b, got...), begin
	}
	return keepLast(got, n), nil
}

// keepLast cuts all but the last n lines; an unfinished one counts.
func keepLast(b []byte, n int) []byte {
	i := len(b)
	if i > 0 && b[i-1] == '\n' {
		i--
	}
	for ; n > 0; n-- {
		j := bytes.LastIndexByte(b[:i], '\n')
		if j < 0 {
			return b
		}
		i = j
	}
	return b[i+1:]
}
