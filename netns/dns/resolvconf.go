package dns

import (
	"errors"
	"io"
	"strings"
)

var (
	errTooLarge     = errors.New("the read limit is reached")
	errNoNameserver = errors.New("nameserver list is empty ")
)

// Parse reads a resolv.conf. Name servers add up; the last search line wins;
// options add up by name. Trailing dots of search domains are cut, and the
// domain "." is left out. Lines that are not understood are skipped, but a
// nameserver line without a server is an error.
func Parse(r io.Reader) (Config, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile))
	if err != nil {
		return Config{}, err
	}
	if len(b) >= MaxFile {
		return Config{}, errTooLarge
	}
	var c Config
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "nameserver":
			if len(f) < 2 {
				err = errNoNameserver
				continue
			}
			c.Servers = append(c.Servers, f[1])
		case "search":
			c.Searches = searches(f[1:])
		case "options":
			c.Options = merge(c.Options, f[1:])
		}
	}
	return c, err
}

func searches(fields []string) []string {
	var s []string
	for _, d := range fields {
		if d != "." {
			s = append(s, strings.TrimSuffix(d, "."))
		}
	}
	return s
}

// merge adds options; a later one replaces an earlier one of the same name.
func merge(have, more []string) []string {
	out := make([]string, 0, len(have)+len(more))
	at := map[string]int{}
	for _, list := range [][]string{have, more} {
		for _, o := range list {
			name, _, _ := strings.Cut(o, ":")
			if i, ok := at[name]; ok {
				out[i] = o
				continue
			}
			at[name] = len(out)
			out = append(out, o)
		}
	}
	return out
}

// Format writes c as a resolv.conf, as containerd does: search, then servers,
// then options. An empty Config gives an empty text.
func (c Config) Format() string {
	var b strings.Builder
	line := func(word string, values ...string) {
		b.WriteString(word + " " + strings.Join(values, " ") + "\n")
	}
	if len(c.Searches) > 0 {
		line("search", c.Searches...)
	}
	for _, s := range c.Servers {
		line("nameserver", s)
	}
	if len(c.Options) > 0 {
		line("options", c.Options...)
	}
	return b.String()
}
