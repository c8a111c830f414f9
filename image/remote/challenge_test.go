package remote

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func describe(all []challenge) string {
	var out []string
	for _, c := range all {
		s := c.scheme
		for _, k := range slices.Sorted(maps.Keys(c.params)) {
			s += fmt.Sprintf(" %s=%s", k, c.params[k])
		}
		out = append(out, s)
	}
	return strings.Join(out, " | ")
}

func TestChallenges(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"none":                 {nil, ""},
		"empty":                {[]string{""}, ""},
		"basic":                {[]string{`Basic realm="x"`}, "basic realm=x"},
		"basic without a word": {[]string{`Basic`}, "basic"},
		"bearer": {[]string{`Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"`},
			"bearer realm=https://auth.example/token scope=repository:a/b:pull,push service=registry.example"},
		"in another case":   {[]string{`BEARER Realm="x" , SERVICE = y`}, "bearer realm=x service=y"},
		"quotes in quotes":  {[]string{`Bearer realm="a\"b\\c,d"`}, `bearer realm=a"b\c,d`},
		"two headers":       {[]string{`Bearer realm="x"`, `Basic realm="y"`}, "bearer realm=x | basic realm=y"},
		"two in one":        {[]string{`Basic realm="y", Bearer realm="x",scope="s"`}, "basic realm=y | bearer realm=x scope=s"},
		"one without words": {[]string{`NTLM, Basic realm="y"`}, "ntlm | basic realm=y"},
		"negotiate":         {[]string{`Negotiate YWJj==, Basic realm="y"`}, "negotiate ywjj= | basic realm=y"},
		"rubbish between":   {[]string{`Bearer realm="x", @@@, service="y"`}, "bearer realm=x service=y"},
		"rubbish":           {[]string{`=,=,"`, `{"a":1}`}, ""},
		"no end":            {[]string{`Bearer service=y,realm="x`}, "bearer realm= service=y"},
		"too long":          {[]string{`Bearer realm="` + strings.Repeat("x", maxChallenge) + `"`}, ""},
	} {
		if got := describe(challenges(c.headers)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := challenges(slices.Repeat([]string{"Basic, Basic"}, 100)); len(got) != maxChallenges {
		t.Errorf("%d challenges, want %d", len(got), maxChallenges)
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/b?c",service=d, Basic realm="e\"f", NTLM abc==`)
	f.Add(`,,= "x" Bearer`)
	f.Fuzz(func(t *testing.T, s string) {
		all := challenges([]string{s, s})
		if len(all) > maxChallenges {
			t.Errorf("%d challenges", len(all))
		}
		for _, c := range all {
			if c.scheme == "" || strings.ContainsAny(c.scheme, " ,=\"") {
				t.Errorf("scheme %q", c.scheme)
			}
		}
	})
}

func TestAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "0": 0, "-7": 0, "7.5": 0, "soon": 0,
		"3600": maxRetryAfter, "99999999999999999999": 0,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
		now.Add(time.Hour).Format(http.TimeFormat):       maxRetryAfter,
	} {
		if got := after(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
