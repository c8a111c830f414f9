package policy

import (
	_ "crypto/sha256" // digests are valid where their algorithm is linked
	_ "crypto/sha512"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// Reference is the normalised name of an image.
type Reference struct {
	// Domain is the registry ("docker.io", "127.0.0.1:5000"), Path the
	// repository in it ("library/busybox").
	Domain, Path string
	// Tag is "latest" if the name has neither tag nor digest. Tag and Digest
	// may both be there; then Digest says what is pulled.
	Tag, Digest string
}

// NameError is a name that cannot be parsed.
type NameError struct {
	Name string
	Err  error
}

func (e *NameError) Error() string {
	return fmt.Sprintf("couldn't parse image name %q: %v", e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *NameError) Unwrap() error { return e.Err }

// Reason is InvalidImageName.
func (e *NameError) Reason() string { return ReasonInvalidName }

// Parse normalises a name as Kubernetes does: docker.io and library/ where they
// are left out, the tag "latest" where there is neither tag nor digest. Its
// error is a *NameError.
func Parse(name string) (Reference, error) {
	n, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return Reference{}, &NameError{name, err}
	}
	r := Reference{Domain: reference.Domain(n), Path: reference.Path(n)}
	if r.Domain == "" { // a_b.c/d, whose host the library takes for a part of the path
		r.Domain, r.Path, _ = strings.Cut(r.Path, "/")
	}
	if t, ok := n.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := n.(reference.Digested); ok {
		r.Digest = d.Digest().String()
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// Name is the repository with its registry, without tag and digest.
func (r Reference) Name() string { return r.Domain + "/" + r.Path }

// Tagged is the name with its tag, or "" if it has none.
func (r Reference) Tagged() string {
	if r.Tag == "" {
		return ""
	}
	return r.Name() + ":" + r.Tag
}

// Digested is the name with digest, in the form of a repository digest.
func (r Reference) Digested(digest string) string { return r.Name() + "@" + digest }

// String is the full normalised name.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// WithDefaultTag appends ":latest" to a name that has neither tag nor digest
// and leaves any other as it is written: what a node hands to a runtime.
func WithDefaultTag(name string) (string, error) {
	r, err := Parse(name)
	if err != nil {
		return "", err
	}
	if r.Digest == "" && !strings.HasSuffix(name, ":"+r.Tag) {
		name += ":" + r.Tag
	}
	return name, nil
}
