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
	for option, err := range map[string]error{
		"Entries: ": l.entries(3), "a name of 4 bytes, at most 3 are allowed, see Limits.Name: ": l.names("abcd", ""),
		"a link target of 4 bytes, at most 3 are allowed, see Limits.Name: ": l.names("a", "abcd"), "Unpacked: ": l.unpacked(5), "Ratio: ": l.Ratios(1, ratioFrom+1),
	} {
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), option+ErrLimit.Error()) {
			t.Errorf("%s: %v", option, err)
		}
	}
	if err := errors.Join(l.entries(2), l.names("abc", "abc"), l.unpacked(4), l.Ratios(1, ratioFrom)); err != nil {
		t.Error(err)
	}
	none := Limits{-1, -1, -1, -1}.WithDefaults()
	if err := errors.Join(none.entries(1e9), none.names(strings.Repeat("a", 9999), ""), none.unpacked(1e18), none.Ratios(1, 1<<60)); err != nil {
		t.Error(err)
	}
	if got, want := (Limits{}).WithDefaults(), (Limits{Entries: 2_000_000, Name: 4095, Unpacked: 64 << 30, Ratio: 300}); got != want {
		t.Errorf("the defaults are %+v, want %+v", got, want)
	}
}
