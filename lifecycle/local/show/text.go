package show

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is how a piece of a line stands out: the parameters of an SGR sequence.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// piece is text in one style, a row is pieces side by side.
type (
	piece struct {
		text  string
		style style
	}
	row []piece
)

// fit cuts a row to width columns.
func (r row) fit(width int) row {
	var out row
	for _, p := range r {
		text := clean(p.text)
		n := utf8.RuneCountInString(text)
		if n > width {
			text, n = cut(text, width), width
		}
		if out = append(out, piece{text, p.style}); n == width {
			return out
		}
		width -= n
	}
	return out
}

// cut shortens text to width columns, and says so by its last.
func cut(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return string([]rune(text)[:width-1]) + "…"
}

// paint writes a row, with escape sequences if colour.
func (r row) paint(colour bool) string {
	var b strings.Builder
	for _, p := range r {
		if colour && p.style != plain && p.text != "" {
			b.WriteString("\x1b[" + string(p.style) + "m" + p.text + "\x1b[m")
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// clean makes one line of text that moves no cursor, whatever is in it: white
// space becomes a space, other control characters are shown as ^X.
func clean(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "?") {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r < 0x20 || r == 0x7f:
			b.WriteByte('^')
			b.WriteRune(r ^ 0x40)
		case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
