// Package layer unpacks the layer of an OCI image, a tar stream, into a
// directory that overlayfs can take as a lower layer.
//
// Nothing in the stream can reach outside that directory: every path is
// resolved by the kernel beneath it (openat2 with RESOLVE_IN_ROOT), the last
// name of a path never follows a link, names and link targets that climb out
// with ".." are refused, and so is anything past the [Limits].
package layer

import (
	"errors"
	"fmt"
)

// Limits bounds one layer. A zero field means its default, a negative one no
// limit.
type Limits struct {
	// Entries defaults to 2,000,000.
	Entries int64
	// Name bounds each name and link target, in bytes; it defaults to 4095.
	Name int
	// Unpacked bounds the bytes of all files; it defaults to 64 GiB.
	Unpacked int64
	// Ratio bounds bytes unpacked per byte packed once a gibibyte is unpacked;
	// it defaults to 300. The caller of Apply checks it through Source.
	Ratio int64
}

// ratioFrom is where Ratio begins to count: small layers may be all zeros.
const ratioFrom = 1 << 30

// WithDefaults fills in the zero fields.
func (l Limits) WithDefaults() Limits {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Entries, 2_000_000)
	set(&l.Unpacked, 64<<30)
	set(&l.Ratio, 300)
	if l.Name == 0 {
		l.Name = 4095
	}
	return l
}

// ErrLimit is wrapped by every error of a layer that is past a limit.
var ErrLimit = errors.New("limit exceeded")

// ErrUnsafe is wrapped by every error of an entry that tries to leave the
// layer's directory.
var ErrUnsafe = errors.New("entry leaves the layer")

// ErrInvalid is wrapped by every error of an entry that no file can be made of.
var ErrInvalid = errors.New("invalid entry")

func (l Limits) entries(n int64) error {
	if l.Entries >= 0 && n > l.Entries {
		return fmt.Errorf("the layer has more than %d entries, see Limits.Entries: %w", l.Entries, ErrLimit)
	}
	return nil
}

// names checks an entry's name and what it links to.
func (l Limits) names(name, link string) error {
	for what, n := range map[string]string{"name": name, "link target": link} {
		if l.Name >= 0 && len(n) > l.Name {
			return fmt.Errorf("a %s of %d bytes, at most %d are allowed, see Limits.Name: %w", what, len(n), l.Name, ErrLimit)
		}
	}
	return nil
}

// Ratios checks unpacked bytes against the packed ones they came from.
func (l Limits) Ratios(packed, unpacked int64) error {
	if l.Ratio >= 0 && unpacked > ratioFrom && unpacked/max(packed, 1) > l.Ratio {
		return fmt.Errorf("the layer unpacks to more than %d bytes from %d, at most %d per byte are allowed, see Limits.Ratio: %w",
			unpacked-1, packed, l.Ratio, ErrLimit)
	}
	return nil
}

func (l Limits) unpacked(n int64) error {
	if l.Unpacked >= 0 && n > l.Unpacked {
		return fmt.Errorf("the layer unpacks to more than %d bytes, see Limits.Unpacked: %w", l.Unpacked, ErrLimit)
	}
	return nil
}

// Result is what Apply made.
type Result struct {
	// Entries counts entries of the stream, Bytes the contents of its files.
	Entries, Bytes int64
	// Implicit lists directories, parents first, that the stream has no entry
	// of its own for: they take their attributes from the layers below, see
	// [Inherit].
	Implicit []string
	// Dropped counts what an unprivileged Apply had to leave out: devices,
	// owners, extended attributes.
	Dropped int64
}

// Options of Apply, Inherit and Merge. The zero value works.
type Options struct {
	Limits Limits
	// Unprivileged is for processes without root's capabilities, or with those of
	// a user namespace only. Directories are marked opaque as overlayfs with
	// userxattr wants it, owners and attributes that this process may not set are
	// dropped, devices left out, and the owner may always read and write: what
	// root may do anyway.
	Unprivileged bool
	// Lowest is for a layer with none below it: Apply leaves out its whiteouts and
	// opaque marks. Overlayfs would list them where it shows this layer alone.
	Lowest bool
}
