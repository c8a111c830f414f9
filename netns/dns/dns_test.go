package dns

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Config
		err  error
	}{
		"empty":                 {"", Config{}, nil},
		"servers add up":        {"nameserver 1.1.1.1\nnameserver 8.8.8.8 extra\n", Config{Servers: []string{"1.1.1.1", "8.8.8.8"}}, nil},
		"the last search wins":  {"search a b\nsearch c\n", Config{Searches: []string{"c"}}, nil},
		"an empty one, too":     {"search a b\nsearch\n", Config{}, nil},
		"dots are cut":          {"search a. . b..\n", Config{Searches: []string{"a", "b."}}, nil},
		"options by name":       {"options ndots:1 rotate\noptions ndots:5 ndots\n", Config{Options: []string{"ndots", "rotate"}}, nil},
		"no server on the line": {"nameserver\nsearch a\n", Config{Searches: []string{"a"}}, errNoNameserver},
		"comments and others":   {"# nameserver 1.1.1.1\n ; x\ndomain d\nNAMESERVER 1.1.1.1\n#nameserver 2.2.2.2\n", Config{}, nil},
		"indented, carriage":    {"\t nameserver\t1.1.1.1\r\n", Config{Servers: []string{"1.1.1.1"}}, nil},
		"no line end":           {"nameserver 1.1.1.1", Config{Servers: []string{"1.1.1.1"}}, nil},
	} {
		got, err := Parse(strings.NewReader(c.text))
		if !reflect.DeepEqual(norm(got), norm(c.want)) || !errors.Is(err, c.err) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, got, err, c.want, c.err)
		}
	}
}

// norm makes empty lists alike.
func norm(c Config) Config {
	for _, l := range []*[]string{&c.Servers, &c.Searches, &c.Options} {
		if len(*l) == 0 {
			*l = nil
		}
	}
	return c
}

func TestParseRefusesLargeFiles(t *testing.T) {
	if _, err := Parse(io.LimitReader(hashes{}, MaxFile-1)); err != nil {
		t.Errorf("one byte less than the limit: %v", err)
	}
	if _, err := Parse(hashes{}); !errors.Is(err, errTooLarge) {
		t.Errorf("without end: %v", err)
	}
}

type hashes struct{}

func (hashes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '#'
	}
	return len(b), nil
}

func TestFormat(t *testing.T) {
	c := Config{Servers: []string{"10.0.0.10", "::1"}, Searches: []string{"a.b", "c"}, Options: []string{"ndots:5", "rotate"}}
	want := "search a.b c\nnameserver 10.0.0.10\nnameserver ::1\noptions ndots:5 rotate\n"
	if got := c.Format(); got != want {
		t.Errorf("got %q", got)
	}
	if got := (Config{}).Format(); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestPodLeavesItsArgumentsAlone(t *testing.T) {
	host := Config{Servers: make([]string, 1, 9), Searches: make([]string, 1, 9), Options: make([]string, 1, 9)}
	host.Servers[0], host.Searches[0], host.Options[0] = "1.1.1.1", strings.Repeat("x", 300), "rotate"
	pod := &PodConfig{Nameservers: []string{"2", "3", "4"}, Searches: []string{"s"}, Options: []Option{{Name: "rotate"}}}
	for _, p := range []Policy{Default, ClusterFirst, None} {
		Pod(Node{Host: host}, PodSpec{Policy: p, Config: pod})
	}
	for _, l := range [][]string{host.Servers, host.Searches, host.Options} {
		if !slices.Equal(l[1:9], make([]string, 8)) {
			t.Errorf("written behind the caller's list: %q", l[:9])
		}
	}
	if len(host.Searches[0]) != 300 || pod.Searches[0] != "s" {
		t.Error("an argument was changed")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nameserver 1.1.1.1\nsearch a. b\noptions ndots:5\n")
	f.Add("search\x00\nnameserver\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		for _, l := range [][]string{c.Servers, c.Searches, c.Options} {
			for _, w := range l {
				if strings.Fields(w) != nil && len(strings.Fields(w)) != 1 {
					t.Fatalf("%q is more than a word", w)
				}
			}
		}
		if err != nil || slices.Contains(c.Searches, "") {
			return
		}
		// What is written is read back, once dots at the end are gone.
		for i, s := range c.Searches {
			if s == "." || strings.HasSuffix(s, ".") {
				return
			}
			c.Searches[i] = s
		}
		again, err := Parse(strings.NewReader(c.Format()))
		if err != nil || !reflect.DeepEqual(norm(again), norm(c)) {
			t.Fatalf("%q: %+v became %+v, %v", text, c, again, err)
		}
		cut, _ := Pod(Node{Host: c}, PodSpec{Policy: Default})
		if len(cut.Servers) > MaxServers || len(cut.Searches) > MaxSearches || len(strings.Join(cut.Searches, " ")) > MaxSearchChars {
			t.Fatalf("beyond the limits: %+v", cut)
		}
	})
}
