// Package verify decides by registry and repository whether an image may be
// used, and whose signature it needs. Signatures themselves are checked by
// verifiers such as image/verify/cosign.
package verify

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
)

// Rule says what holds for the repositories that match a pattern.
type Rule struct {
	// Match is a pattern of normalised repositories, "docker.io/library/*": each
	// part between slashes is a glob as in [path.Match]; "**" at the end stands
	// for one or more parts.
	Match string
	// Deny refuses such images.
	Deny bool
	// Verify, if set, has to agree. Without Deny and Verify the image is allowed.
	Verify image.Verifier
}

// Rules are asked in order; the first that matches decides, and an image that
// none matches is denied. It is an [image.Verifier], safe for concurrent use.
type Rules []Rule

var _ image.Verifier = Rules(nil)

// Verify implements [image.Verifier].
func (r Rules) Verify(ctx context.Context, m image.Manifest) error {
	ref, err := policy.Parse(m.Name)
	if err != nil {
		return err
	}
	for _, rule := range r {
		ok, err := matches(rule.Match, ref.Name())
		switch {
		case err != nil:
			return fmt.Errorf("rule %q: %w", rule.Match, err)
		case !ok:
			continue
		case rule.Deny:
			return fmt.Errorf("images of %s are denied by the rule %q", ref.Name(), rule.Match)
		case rule.Verify != nil:
			return rule.Verify.Verify(ctx, m)
		}
		return nil
	}
	return fmt.Errorf("no rule allows images of %s", ref.Name())
}

func matches(pattern, repository string) (bool, error) {
	want, have := strings.Split(pattern, "/"), strings.Split(repository, "/")
	if last := len(want) - 1; want[last] == "**" && len(have) > last {
		want, have = want[:last], have[:last]
	}
	if len(want) != len(have) {
		_, err := path.Match(pattern, "")
		return false, err
	}
	for i := range want {
		if ok, err := path.Match(want[i], have[i]); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}
