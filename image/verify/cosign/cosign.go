// Package cosign checks signatures that cosign made with a key pair: those in
// the tag sha256-<hex>.sig beside the image, whose payload is simple signing's.
// Keyless signatures and those in sigstore bundles are not looked at.
package cosign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

const (
	mediaType  = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotation = "dev.cosignproject.cosign/signature"
	kind       = "cosign container image signature"

	maxSignatures = 100
	maxPayload    = 64 << 10
)

// Verifier wants a signature by one key. It is safe for concurrent use.
type Verifier struct {
	key signature.Verifier
	// Identity is the repository that the signature has to be for, where images
	// are copied with their signatures. Empty means the one it is pulled from.
	Identity string
}

var _ image.Verifier = (*Verifier)(nil)

// New reads a public key in PEM: ECDSA, RSA or Ed25519.
func New(pem []byte) (*Verifier, error) {
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	key, err := signature.LoadVerifier(pub, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	return &Verifier{key: key}, nil
}

// Verify implements [image.Verifier]: one signature that holds is enough, of the
// index or of the manifest for this platform.
func (v *Verifier) Verify(ctx context.Context, m image.Manifest) error {
	ref, err := policy.Parse(m.Name)
	if err != nil {
		return err
	}
	identity := v.Identity
	if identity == "" {
		identity = ref.Name()
	}
	digests := []string{m.Digest}
	if m.Manifest != m.Digest {
		digests = append(digests, m.Manifest)
	}
	var errs []error
	for _, d := range digests {
		err := v.signed(ctx, m.Beside, d, identity)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// signed looks for a signature of one manifest.
func (v *Verifier) signed(ctx context.Context, repo image.Repository, manifest, identity string) error {
	_, b, err := repo.Manifest(ctx, strings.ReplaceAll(manifest, ":", "-")+".sig")
	if errors.Is(err, remote.ErrNotFound) {
		return fmt.Errorf("%s has no signature", manifest)
	}
	if err != nil {
		return fmt.Errorf("signatures of %s: %w", manifest, err)
	}
	var list ocispec.Manifest
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("signatures of %s: %w", manifest, err)
	}
	if len(list.Layers) > maxSignatures {
		return fmt.Errorf("%s has %d signatures, at most %d are looked at", manifest, len(list.Layers), maxSignatures)
	}
	errs := []error{fmt.Errorf("no signature of %s holds", manifest)}
	for _, l := range list.Layers {
		if l.MediaType != mediaType {
			continue
		}
		err := v.one(ctx, repo, l, manifest, identity)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("signature %s: %w", l.Digest, err))
	}
	return errors.Join(errs...)
}

// payload is what was signed.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
}

func (v *Verifier) one(ctx context.Context, repo image.Repository, d ocispec.Descriptor, manifest, identity string) error {
	sig, err := base64.StdEncoding.DecodeString(d.Annotations[annotation])
	if err != nil || len(sig) == 0 {
		return fmt.Errorf("its annotation %s is not base64", annotation)
	}
	if d.Size < 0 || d.Size > maxPayload || d.Digest.Validate() != nil {
		return fmt.Errorf("%d bytes of payload, at most %d are read", d.Size, maxPayload)
	}
	var b bytes.Buffer
	if err := repo.Blob(ctx, d, &b); err != nil {
		return err
	}
	if got := digest.FromBytes(b.Bytes()); got != d.Digest {
		return fmt.Errorf("the payload has the content of %s", got)
	}
	if err := v.key.VerifySignature(bytes.NewReader(sig), bytes.NewReader(b.Bytes())); err != nil {
		return fmt.Errorf("it is not by this key: %w", err)
	}
	var p payload
	if err := json.Unmarshal(b.Bytes(), &p); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	signed, err := policy.Parse(p.Critical.Identity.Reference)
	switch {
	case p.Critical.Type != kind:
		return fmt.Errorf("it is a %q, not a %q", p.Critical.Type, kind)
	case p.Critical.Image.Digest != manifest:
		return fmt.Errorf("it signs %s", p.Critical.Image.Digest)
	case err != nil || signed.Name() != identity:
		return fmt.Errorf("it is for %q, not for %s", p.Critical.Identity.Reference, identity)
	}
	return nil
}
