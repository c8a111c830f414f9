package verify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/verify"
)

var errUnsigned = errors.New("unsigned")

func TestRules(t *testing.T) {
	unsigned := image.VerifierFunc(func(context.Context, image.Manifest) error { return errUnsigned })
	rules := verify.Rules{
		{Match: "docker.io/library/evil", Deny: true},
		{Match: "docker.io/library/*"},
		{Match: "*.example.com/team/**", Verify: unsigned},
		{Match: "r.io:5000/a"},
	}
	for name, want := range map[string]string{
		"busybox":                      "",
		"evil:1":                       `denied by the rule "docker.io/library/evil"`,
		"me/app":                       "no rule allows images of docker.io/me/app",
		"x.example.com/team/a":         "unsigned",
		"x.example.com/team/a/b/c:1":   "unsigned",
		"x.example.com/team":           "no rule",
		"x.y.example.com/other/a":      "no rule",
		"x.example.com.evil.io/team/a": "no rule",
		"r.io:5000/a":                  "",
		"r.io/a":                       "no rule",
		"r.io:5000/a/b":                "no rule",
		"a b":                          "couldn't parse",
	} {
		err := rules.Verify(t.Context(), image.Manifest{Name: name})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := (verify.Rules{{Match: "[", Deny: true}}).Verify(t.Context(), image.Manifest{Name: "x"}); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("a broken rule: %v", err)
	}
	if err := (verify.Rules{}).Verify(t.Context(), image.Manifest{Name: "x"}); err == nil {
		t.Error("no rules allowed it")
	}
}

func Example() {
	rules := verify.Rules{{Match: "registry.example/team/**"}}
	fmt.Println(rules.Verify(context.Background(), image.Manifest{Name: "registry.example/team/app:1"}))
	fmt.Println(rules.Verify(context.Background(), image.Manifest{Name: "busybox"}))
	// Output:
	// <nil>
	// no rule allows images of docker.io/library/busybox
}
