package image_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
)

// What lies under the layers comes after all of them, where there is an overlayfs
// with room for it.
func TestUnder(t *testing.T) {
	full := "lowerdir=" + strings.Repeat("/l:", 499) + "/l"
	for name, c := range map[string]struct{ kind, option, want string }{
		"overlay":             {"overlay", "lowerdir=/b:/a", `lowerdir=/b:/a:/m\:n`},
		"one layer":           {"overlay", "lowerdir=/a", `lowerdir=/a:/m\:n`},
		"a colon in a name":   {"overlay", `lowerdir=/b\:c`, `lowerdir=/b\:c:/m\:n`},
		"as many as it takes": {"overlay", full, full},
		"copies":              {"bind", "rw", "rw"},
		"no layers":           {"overlay", "ro", "ro"},
	} {
		mounts := []image.Mount{{Type: c.kind, Options: []string{"index=off", c.option, "upperdir=/u"}}}
		before := slices.Clone(mounts[0].Options)
		got := image.Under(mounts, "/m:n")
		if len(got) != 1 || !slices.Equal(got[0].Options, []string{"index=off", c.want, "upperdir=/u"}) {
			t.Errorf("%s: %v", name, got)
		}
		if !slices.Equal(mounts[0].Options, before) {
			t.Errorf("%s: the caller's mounts became %v", name, mounts)
		}
	}
}
