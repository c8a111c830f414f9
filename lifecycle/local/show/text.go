package show

import (
	"strings"
	"unicode/utf8"

	"github.com/lifepod/lifepod/lifecycle/local"
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
		text := local.Printable(p.text)
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
