package layer

import (
	"errors"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "./a/b/": "a/b", "/etc/x": "etc/x", "a/../b": "b", ".": ".", "/": ".", "": ".",
		"..": "!", "../x": "!", "a/../../x": "!", "/../x": "!", "//../../x": "!", "a\x00b": "!",
	} {
		got, err := clean(in)
		if errors.Is(err, ErrUnsafe) {
			got = "!"
		}
		if got != want {
			t.Errorf("clean(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestWhiteoutNames(t *testing.T) {
	for _, bad := range []string{".wh.", ".wh..", ".wh..."} {
		if _, _, err := whiteout(bad); !errors.Is(err, ErrUnsafe) {
			t.Errorf("whiteout(%q) = %v", bad, err)
		}
	}
	if target, ok, err := whiteout(".wh.a"); target != "a" || !ok || err != nil {
		t.Errorf("%q %v %v", target, ok, err)
	}
}

func TestLimits(t *testing.T) {
	l := Limits{Entries: 2, Name: 3, Unpacked: 4, Ratio: 10}.WithDefaults()
	for name, err := range map[string]error{
		"entries": l.entries(3), "name": l.name("abcd"), "unpacked": l.unpacked(5),
		"ratio": l.Ratios(1, ratioFrom+1),
	} {
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(l.entries(2), l.name("abc"), l.unpacked(4), l.Ratios(1, ratioFrom)); err != nil {
		t.Error(err)
	}
	none := Limits{-1, -1, -1, -1}.WithDefaults()
	if err := errors.Join(none.entries(1e9), none.name(strings.Repeat("a", 9999)), none.unpacked(1e18)); err != nil {
		t.Error(err)
	}
}
