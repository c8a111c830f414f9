package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types that are not in the OCI specification.
const (
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig   = "application/vnd.docker.container.image.v1+json"
	DockerSchema1  = "application/vnd.docker.distribution.manifest.v1+json"
)

var accept = strings.Join([]string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, DockerIndex, DockerManifest, "*/*;q=0.1",
}, ", ")

// Resolve asks what a tag or a digest names, without its contents. The answer
// is the registry's word only. It returns ErrInvalid if the registry does not
// tell the digest; Manifest then does.
func (r *Repository) Resolve(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, error) {
	var d ocispec.Descriptor
	err := r.retry(ctx, func() (bool, error) {
		ctx, dog := newWatchdog(ctx, r.client.opts.Stall)
		defer dog.stop()
		resp, err := r.send(ctx, request{method: http.MethodHead, path: "manifests/" + tagOrDigest, accept: accept})
		if err != nil {
			return false, r.wrap("HEAD "+r.domain+"/"+r.path, dog.cause(err))
		}
		defer resp.Body.Close()
		dg, err := digest.Parse(resp.Header.Get("Docker-Content-Digest"))
		if err != nil {
			return false, fmt.Errorf("the registry tells no digest for %s: %w", tagOrDigest, ErrInvalid)
		}
		d = ocispec.Descriptor{MediaType: contentType(resp), Digest: dg, Size: resp.ContentLength}
		return false, nil
	})
	return d, err
}

// Manifest fetches what a tag or a digest names. The returned digest is that of
// the bytes; it is what was asked for, and what the registry says it is, or the
// error is ErrInvalid.
func (r *Repository) Manifest(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, []byte, error) {
	return r.small(ctx, "manifests/", tagOrDigest, accept)
}

// Config fetches a small blob whole, as an image's config is, and verifies it.
func (r *Repository) Config(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	_, b, err := r.small(ctx, "blobs/", d.Digest.String(), "")
	if err == nil && int64(len(b)) != d.Size {
		return nil, fmt.Errorf("config %s has %d bytes, the manifest says %d: %w", d.Digest, len(b), d.Size, ErrInvalid)
	}
	return b, err
}

func (r *Repository) small(ctx context.Context, kind, id, accept string) (ocispec.Descriptor, []byte, error) {
	var d ocispec.Descriptor
	var b []byte
	err := r.retry(ctx, func() (bool, error) {
		ctx, dog := newWatchdog(ctx, r.client.opts.Stall)
		defer dog.stop()
		resp, err := r.send(ctx, request{method: http.MethodGet, path: kind + id, accept: accept})
		if err != nil {
			return false, r.wrap("GET "+r.domain+"/"+r.path, dog.cause(err))
		}
		defer resp.Body.Close()
		what := fmt.Sprintf("GET %s/%s/%s%s", r.domain, r.path, kind, id)
		if b, err = read(resp, r.client.opts.ManifestLimit, dog); err != nil {
			return false, r.wrap(what, err)
		}
		d = ocispec.Descriptor{MediaType: contentType(resp), Size: int64(len(b)), Digest: digest.FromBytes(b)}
		return false, r.wrap(what, verify(&d, b, id, resp.Header.Get("Docker-Content-Digest")))
	})
	return d, b, err
}

// verify compares the bytes with the digest asked for, and with what the header
// tells. The digest that was asked for names them from then on.
func verify(d *ocispec.Descriptor, b []byte, asked, told string) error {
	for _, s := range []string{told, asked} {
		want, err := digest.Parse(s)
		if err != nil { // a tag, or no header
			if strings.Contains(s, ":") {
				return fmt.Errorf("digest %q: %w: %w", s, err, ErrInvalid)
			}
			continue
		}
		if got := want.Algorithm().FromBytes(b); got != want {
			return fmt.Errorf("digest mismatch: the content has %s, expected %s: %w", got, want, ErrInvalid)
		}
		d.Digest = want
	}
	return nil
}

func contentType(resp *http.Response) string {
	t, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.TrimSpace(t)
}

// Blob writes a blob to w, from its first byte to its last, over as many
// requests as it takes. Its size is verified, its digest is not. An error of w
// is returned as it is.
func (r *Repository) Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	return r.BlobFrom(ctx, d, 0, w)
}

// BlobFrom is Blob for a caller who holds the first from bytes already: w gets
// what follows them. From a registry that knows no ranges all is fetched, and
// the beginning dropped. The caller verifies the digest of the whole.
func (r *Repository) BlobFrom(ctx context.Context, d ocispec.Descriptor, from int64, w io.Writer) error {
	if from < 0 || from > d.Size {
		return fmt.Errorf("blob %s has %d bytes, none from %d: %w", d.Digest, d.Size, from, ErrInvalid)
	}
	if from == d.Size && from > 0 {
		return nil
	}
	off := from
	buf := make([]byte, 128<<10)
	return r.retry(ctx, func() (bool, error) {
		before := off
		err := r.blobFrom(ctx, d, &off, w, buf)
		return off > before, err
	})
}

func (r *Repository) blobFrom(ctx context.Context, d ocispec.Descriptor, off *int64, w io.Writer, buf []byte) error {
	ctx, dog := newWatchdog(ctx, r.client.opts.Stall)
	defer dog.stop()
	what := fmt.Sprintf("GET %s/%s/blobs/%s", r.domain, r.path, d.Digest)
	resp, err := r.send(ctx, request{method: http.MethodGet, path: "blobs/" + d.Digest.String(), from: *off})
	if err != nil {
		return r.wrap(what, dog.cause(err))
	}
	defer resp.Body.Close()
	start, err := firstByte(resp, *off, d.Size)
	if err != nil {
		return r.wrap(what, err)
	}
	body := &watched{resp.Body, dog}
	for at := start; ; {
		n, err := body.Read(buf)
		if at+int64(n) > d.Size {
			return r.wrap(what, fmt.Errorf("more than the %d bytes that the manifest says: %w", d.Size, ErrInvalid))
		}
		if skip := min(max(*off-at, 0), int64(n)); skip < int64(n) {
			dog.hold() // a slow disk is not a stalled registry
			if _, err := w.Write(buf[skip:n]); err != nil {
				return err
			}
			dog.progress()
			*off += int64(n) - skip
		}
		at += int64(n)
		if errors.Is(err, io.EOF) && at < d.Size {
			err = io.ErrUnexpectedEOF
		}
		if *off == d.Size && (err == nil || errors.Is(err, io.EOF)) {
			return nil
		}
		if err != nil {
			return r.wrap(what, fmt.Errorf("after %d of %d bytes: %w", *off, d.Size, err))
		}
	}
}

// firstByte is where the answer begins: at from, or at 0 from a registry that
// knows no ranges.
func firstByte(resp *http.Response, from, size int64) (int64, error) {
	start := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start > from {
			return 0, fmt.Errorf("Content-Range %q for bytes from %d: %w", resp.Header.Get("Content-Range"), from, ErrInvalid)
		}
	}
	if n := resp.ContentLength; n >= 0 && start+n != size {
		return 0, fmt.Errorf("the blob has %d bytes, the manifest says %d: %w", start+n, size, ErrInvalid)
	}
	return start, nil
}
