package cosign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/verify/cosign"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// repo is a repository in memory: tags and blobs.
type repo map[string][]byte

func (r repo) Manifest(_ context.Context, id string) (ocispec.Descriptor, []byte, error) {
	b, ok := r[id]
	if !ok {
		return ocispec.Descriptor{}, nil, fmt.Errorf("%s: %w", id, remote.ErrNotFound)
	}
	return ocispec.Descriptor{}, b, nil
}

func (r repo) Blob(_ context.Context, d ocispec.Descriptor, w io.Writer) error {
	_, err := w.Write(r[d.Digest.String()])
	return err
}

func newKey() (*ecdsa.PrivateKey, []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	pem, err := cryptoutils.MarshalPublicKeyToPEM(k.Public())
	if err != nil {
		panic(err)
	}
	return k, pem
}

// claim is what a signature says.
type claim struct{ reference, digest, kind string }

func (c claim) json() []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, c.reference, c.digest, c.kind)
}

// sign adds a signature of payload to the signatures of an image, as cosign does.
func (r repo) sign(of digest.Digest, key crypto.Signer, payload []byte) {
	hash := sha256.Sum256(payload)
	sig, err := key.Sign(rand.Reader, hash[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	d := ocispec.Descriptor{
		MediaType: "application/vnd.dev.cosign.simplesigning.v1+json", Digest: digest.FromBytes(payload), Size: int64(len(payload)),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)},
	}
	r[d.Digest.String()] = payload
	tag := "sha256-" + of.Encoded() + ".sig"
	var m ocispec.Manifest
	if b, ok := r[tag]; ok {
		if err := json.Unmarshal(b, &m); err != nil {
			panic(err)
		}
	}
	m.Layers = append(m.Layers, d)
	if r[tag], err = json.Marshal(m); err != nil {
		panic(err)
	}
}

const kind = "cosign container image signature"

func TestVerify(t *testing.T) {
	key, pem := newKey()
	stranger, _ := newKey()
	index, manifest, other := digest.FromString("index"), digest.FromString("manifest"), digest.FromString("other")
	good := claim{"r.io/a", index.String(), kind}
	for rule, c := range map[string]struct {
		sign func(r repo)
		want string
	}{
		"valid":                   {func(r repo) { r.sign(index, key, good.json()) }, ""},
		"with a tag":              {func(r repo) { r.sign(index, key, claim{"r.io/a:1", index.String(), kind}.json()) }, ""},
		"of the platform's alone": {func(r repo) { r.sign(manifest, key, claim{"r.io/a", manifest.String(), kind}.json()) }, ""},
		"missing":                 {func(repo) {}, "has no signature"},
		"by another key":          {func(r repo) { r.sign(index, stranger, good.json()) }, "not by this key"},
		"one of several": {func(r repo) {
			r.sign(index, stranger, good.json())
			r.sign(index, key, claim{"r.io/b", index.String(), kind}.json())
			r.sign(index, key, good.json())
		}, ""},
		"of another digest": {func(r repo) { r.sign(index, key, claim{"r.io/a", other.String(), kind}.json()) }, "it signs " + other.String()},
		"for another repo":  {func(r repo) { r.sign(index, key, claim{"r.io/b", index.String(), kind}.json()) }, `it is for "r.io/b", not for r.io/a`},
		"of another kind":   {func(r repo) { r.sign(index, key, claim{"r.io/a", index.String(), "atomic"}.json()) }, `it is a "atomic"`},
		"no JSON":           {func(r repo) { r.sign(index, key, []byte("x")) }, "payload:"},
		"a payload changed": {func(r repo) {
			r.sign(index, key, good.json())
			r[digest.FromBytes(good.json()).String()] = []byte("{}")
		}, "has the content of"},
		"a large payload":       {func(r repo) { r.sign(index, key, make([]byte, 1<<20)) }, "at most 65536 are read"},
		"no list of signatures": {func(r repo) { r["sha256-"+index.Encoded()+".sig"] = []byte("[") }, "signatures of"},
	} {
		t.Run(rule, func(t *testing.T) {
			v, err := cosign.New(pem)
			if err != nil {
				t.Fatal(err)
			}
			r := repo{}
			c.sign(r)
			err = v.Verify(t.Context(), image.Manifest{Name: "r.io/a:1", Digest: index.String(), Manifest: manifest.String(), Beside: r})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	key, pem := newKey()
	v, err := cosign.New(pem)
	if err != nil {
		t.Fatal(err)
	}
	v.Identity = "origin.io/a"
	d, r := digest.FromString("m"), repo{}
	r.sign(d, key, claim{"origin.io/a", d.String(), kind}.json())
	if err := v.Verify(t.Context(), image.Manifest{Name: "mirror.io/a:1", Digest: d.String(), Manifest: d.String(), Beside: r}); err != nil {
		t.Error(err)
	}
	if _, err := cosign.New([]byte("no key")); err == nil {
		t.Error("no key was read as one")
	}
}

func Example() {
	key, pem := newKey()
	v, err := cosign.New(pem)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, signed := digest.FromString("manifest"), repo{}
	signed.sign(d, key, claim{"registry.example/app", d.String(), kind}.json())
	// store.Pull(ctx, name, image.PullOptions{Verify: v}) asks with what it found.
	m := image.Manifest{Name: "registry.example/app:1", Digest: d.String(), Manifest: d.String(), Beside: signed}
	fmt.Println(v.Verify(context.Background(), m))
	// Output: <nil>
}
