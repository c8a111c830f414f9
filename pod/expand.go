package pod

import (
	"strings"
	"unicode/utf8"
)

// Expand replaces each $(NAME) in s by lookup(NAME). $$ stands for one $, so
// that $$(NAME) is left as $(NAME); an unknown name and a $ before anything else
// stay as they are. It is what Kubernetes does to env values, command and args.
func Expand(s string, lookup func(name string) (string, bool)) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		switch end := strings.IndexByte(s, ')'); {
		case s[0] == '$':
			b.WriteByte('$')
			s = s[1:]
		case s[0] == '(' && end > 0:
			if v, ok := lookup(s[1:end]); ok {
				b.WriteString(v)
			} else {
				b.WriteString("$" + s[:end+1])
			}
			s = s[end+1:]
		default:
			// The character after it is taken along whole: it may not begin a
			// reference of its own. What is no UTF-8 becomes U+FFFD.
			r, n := utf8.DecodeRuneInString(s)
			b.WriteString("$" + string(r))
			s = s[n:]
		}
	}
}

// Lookup makes [Expand]'s lookup from maps; the first that has the name counts.
func Lookup(vars ...map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, m := range vars {
			if v, ok := m[name]; ok {
				return v, true
			}
		}
		return "", false
	}
}
