package image

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// thisPlatform is what images of this machine are for.
func thisPlatform() ocispec.Platform {
	p := ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
	if p.Architecture == "arm" {
		p.Variant = "v7"
	}
	return normal(p)
}

// normal writes a platform in one way: the variant that an architecture implies
// is left out.
func normal(p ocispec.Platform) ocispec.Platform {
	p.OS = strings.ToLower(p.OS)
	p.Architecture = strings.ToLower(p.Architecture)
	p.Variant = strings.ToLower(p.Variant)
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386":
		p.Architecture = "386"
	}
	switch p.Architecture + "/" + p.Variant {
	case "amd64/v1", "arm64/v8", "arm64/8":
		p.Variant = ""
	case "arm/", "arm/7":
		p.Variant = "v7"
	case "arm/5", "arm/6", "arm/8":
		p.Variant = "v" + p.Variant
	}
	return p
}

// fits says how well an image for p runs on host: 0 not at all, more is better.
// A variant runs on its own kind and on higher ones.
func fits(host, p ocispec.Platform) int {
	host, p = normal(host), normal(p)
	if host.OS != p.OS || host.Architecture != p.Architecture {
		return 0
	}
	h, v := level(host), level(p)
	if v > h {
		return 0
	}
	return 1 + v
}

// level is the number of a variant, 1 for none.
func level(p ocispec.Platform) int {
	n := 0
	if _, err := fmt.Sscanf(p.Variant, "v%d", &n); err != nil || n < 1 {
		return 1
	}
	return n
}

func platformName(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// choose picks the manifest of an index that fits best, the first of equals.
// Entries without a platform are candidates of last resort.
func choose(host ocispec.Platform, manifests []ocispec.Descriptor) (ocispec.Descriptor, error) {
	best, at := 0, -1
	var have []string
	for i, d := range manifests {
		if d.Platform == nil || d.Platform.OS == "unknown" { // attestations call themselves unknown
			continue
		}
		have = append(have, platformName(*d.Platform))
		if n := fits(host, *d.Platform); n > best {
			best, at = n, i
		}
	}
	if at < 0 {
		at = slices.IndexFunc(manifests, func(d ocispec.Descriptor) bool { return d.Platform == nil })
	}
	if at < 0 {
		return ocispec.Descriptor{}, fmt.Errorf("no image for %s in the index: it has %s", platformName(host), strings.Join(have, ", "))
	}
	return manifests[at], nil
}

// runsOn checks the platform that an image's config names.
func runsOn(host ocispec.Platform, c ocispec.Image) error {
	if c.OS == "" && c.Architecture == "" { // built from nothing by hand
		return nil
	}
	if fits(host, c.Platform) == 0 {
		return fmt.Errorf("the image is for %s, not for %s", platformName(c.Platform), platformName(host))
	}
	return nil
}
