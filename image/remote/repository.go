package remote

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/lifepod/lifepod/image/remote/hosts"
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

// needs is what a host must be able to do: what a tag names not every mirror may
// say.
func needs(tagOrDigest string) hosts.Capabilities {
	if strings.Contains(tagOrDigest, ":") {
		return hosts.Pull
	}
	return hosts.Pull | hosts.Resolve
}

// Resolve asks what a tag or a digest names, without its contents. The answer
// is the registry's word only. It returns ErrInvalid if the registry does not
// tell the digest; Manifest then does.
func (r *Repository) Resolve(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, error) {
	var d ocispec.Descriptor
	err := r.retry(ctx, needs(tagOrDigest), func(ctx context.Context, p *place, dog *watchdog) (bool, error) {
		q := request{method: http.MethodHead, path: "manifests/" + tagOrDigest, accept: accept}
		resp, err := p.send(ctx, q)
		if err != nil {
			return false, p.wrap(p.what(q), dog.cause(err))
		}
		defer drain(resp)
		dg, err := digest.Parse(resp.Header.Get("Docker-Content-Digest"))
		if err != nil {
			return false, fmt.Errorf("%s tells no digest for %s: %w", p.endpoint.host.Host, tagOrDigest, ErrInvalid)
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
	err := r.retry(ctx, needs(id), func(ctx context.Context, p *place, dog *watchdog) (bool, error) {
		q := request{method: http.MethodGet, path: kind + id, accept: accept}
		resp, err := p.send(ctx, q)
		if err != nil {
			return false, p.wrap(p.what(q), dog.cause(err))
		}
		defer drain(resp)
		if b, err = read(resp, r.client.opts.ManifestLimit, dog); err != nil {
			return false, p.wrap(p.what(q), err)
		}
		d = ocispec.Descriptor{MediaType: contentType(resp), Size: int64(len(b)), Digest: digest.FromBytes(b)}
		return false, p.wrap(p.what(q), verify(&d, b, id, resp.Header.Get("Docker-Content-Digest")))
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
