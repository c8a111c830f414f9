package pullrecord

import (
	"fmt"
	"slices"
	"strings"
)

// Mode is the kubelet's imagePullCredentialsVerificationPolicy.
type Mode string

// The modes: who may use an image that is there without asking the registry.
const (
	// NeverVerify: every pod.
	NeverVerify Mode = "NeverVerify"
	// NeverVerifyPreloadedImages: every pod, what came to the node otherwise than by
	// a pull for a pod. It is the default.
	NeverVerifyPreloadedImages Mode = "NeverVerifyPreloadedImages"
	// NeverVerifyAllowlistedImages: every pod, the images of the allowlist.
	NeverVerifyAllowlistedImages Mode = "NeverVerifyAllowlistedImages"
	// AlwaysVerify: only pods whose credentials are on record.
	AlwaysVerify Mode = "AlwaysVerify"
)

// Policy says which images need credentials although they are there. The zero
// value is NeverVerifyPreloadedImages.
type Policy struct {
	Mode Mode
	// Allowlist names images without tag and digest, as pods spell them, or all
	// below a path: "registry.example/team/*". Only NeverVerifyAllowlistedImages has
	// one.
	Allowlist []string
}

// Check refuses what the kubelet refuses.
func (p Policy) Check() error {
	modes := []Mode{"", NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages, AlwaysVerify}
	if !slices.Contains(modes, p.Mode) {
		return fmt.Errorf("verification of pull credentials: option %q; valid options are %q", p.Mode, modes[1:])
	}
	if len(p.Allowlist) > 0 && p.Mode != NeverVerifyAllowlistedImages {
		return fmt.Errorf("verification of pull credentials: an allowlist is for the option %q alone", NeverVerifyAllowlistedImages)
	}
	for _, s := range p.Allowlist {
		if _, _, err := pattern(s); err != nil {
			return fmt.Errorf("verification of pull credentials: invalid image pattern: %w", err)
		}
	}
	return nil
}

// Requires says whether a pod that wants image, as it spells it, must have
// credentials on record. ours says that a pod's pull brought it.
func (p Policy) Requires(image string, ours bool) bool {
	switch p.Mode {
	case NeverVerify:
		return false
	case NeverVerifyAllowlistedImages:
		return !p.allows(image)
	case AlwaysVerify:
		return true
	}
	return ours
}

func (p Policy) allows(image string) bool {
	name, err := Repository(image)
	if err != nil {
		name = image
	}
	return slices.ContainsFunc(p.Allowlist, func(s string) bool {
		text, prefix, err := pattern(s)
		return err == nil && (name == text || prefix && strings.HasPrefix(name, text))
	})
}

// pattern is an entry of the allowlist: a name, or the beginning of names.
func pattern(s string) (text string, prefix bool, err error) {
	text, prefix = strings.CutSuffix(s, "/*")
	if prefix {
		text += "/"
	}
	switch {
	case s != strings.TrimSpace(s):
		return "", false, fmt.Errorf("leading/trailing spaces are not allowed: %s", s)
	case text == "":
		return "", false, fmt.Errorf("the supplied pattern is too short: %s", s)
	case strings.Contains(text, "*"):
		return "", false, fmt.Errorf("not a valid wildcard pattern, only patterns ending with '/*' are allowed: %s", s)
	case text == "/":
		return "", false, fmt.Errorf("at least registry hostname is required: %s", s)
	case prefix:
		return text, true, nil
	}
	name, err := Repository(text)
	if err != nil {
		return "", false, fmt.Errorf("failed to parse as an image name: %w", err)
	}
	if name != text {
		return "", false, fmt.Errorf("neither tag nor digest is accepted in an image reference: %s", s)
	}
	return text, false, nil
}
