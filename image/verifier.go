package image

import (
	"context"
	"errors"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Verifier judges images before any layer of theirs is fetched. It is safe for
// concurrent use.
type Verifier interface {
	// Verify returns why the image must not be used, or nil. Its error ends the
	// pull; the reason is SignatureValidationFailed unless it brings its own by
	// a method Reason() string.
	Verify(ctx context.Context, m Manifest) error
}

// VerifierFunc is a Verifier of one function.
type VerifierFunc func(ctx context.Context, m Manifest) error

// Verify implements [Verifier].
func (f VerifierFunc) Verify(ctx context.Context, m Manifest) error { return f(ctx, m) }

// Manifest is what a Verifier judges.
type Manifest struct {
	// Name is the normalised reference; Digest is what the registry resolved it
	// to, an index or a manifest; Manifest is the manifest chosen for the platform.
	Name             string
	Digest, Manifest string
	// Raw is the manifest's bytes.
	Raw []byte
	// Beside is the repository that the image lies in: signatures lie there, too.
	Beside Repository
}

// Repository is what a [Verifier] may read of a repository. What it does not
// hold is remote.ErrNotFound.
type Repository interface {
	// Manifest returns any manifest by tag or digest, whole; bytes got by digest
	// are verified.
	Manifest(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, []byte, error)
	// Blob writes a blob to w and does not verify its digest.
	Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error
}

// repository is where a pull gets an image from.
type repository interface {
	Repository
	Resolve(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, error)
	Config(ctx context.Context, d ocispec.Descriptor) ([]byte, error)
}

// verify asks the caller's Verifier.
func (p *pull) verify(ctx context.Context) error {
	if p.opts.Verify == nil {
		return nil
	}
	top, last := p.docs[0], p.docs[len(p.docs)-1]
	err := p.opts.Verify.Verify(ctx, Manifest{
		Name: p.ref.String(), Digest: top.digest.String(), Manifest: last.digest.String(), Raw: last.bytes, Beside: p.repo,
	})
	var has interface{ Reason() string }
	if err == nil || errors.As(err, &has) || ctx.Err() != nil {
		return err
	}
	return &Error{Op: "verify", Name: p.ref.String(), Err: err, reason: ReasonSignature}
}
