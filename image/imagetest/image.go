package imagetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an image to be built. The zero value is an image of no layer for
// Linux on this architecture.
type Image struct {
	Layers []Layer
	// Config becomes the image's config; OS and architecture default to Linux
	// and this machine's, RootFS is filled in.
	Config ocispec.Image
	// Docker gives manifest, config and layers Docker's media types.
	Docker bool
	// EditConfig and EditManifest, if set, change what was built, also into what
	// no honest tool would build.
	EditConfig   func(*ocispec.Image)
	EditManifest func(*ocispec.Manifest)
}

// Blob is content with what a manifest says about it.
type Blob struct {
	ocispec.Descriptor
	Data []byte
}

// NewBlob describes data.
func NewBlob(mediaType string, data []byte) Blob {
	return Blob{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}
}

// Built is an image as a registry has it.
type Built struct {
	Manifest, Config Blob
	Layers           []Blob
	Image            ocispec.Image
}

// Build makes the blobs. The same Image gives the same blobs.
func (i Image) Build() (Built, error) {
	types := [2]string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig}
	if i.Docker {
		types = [2]string{"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json"}
	}
	b := Built{Image: i.Config}
	if b.Image.OS == "" {
		b.Image.OS = "linux"
	}
	if b.Image.Architecture == "" {
		b.Image.Architecture = runtime.GOARCH
	}
	b.Image.RootFS = ocispec.RootFS{Type: "layers"}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: types[0], Layers: []ocispec.Descriptor{}}
	for n, l := range i.Layers {
		blob, diff, err := l.build(i.Docker)
		if err != nil {
			return b, fmt.Errorf("build layer %d: %w", n, err)
		}
		b.Layers = append(b.Layers, blob)
		b.Image.RootFS.DiffIDs = append(b.Image.RootFS.DiffIDs, diff)
		m.Layers = append(m.Layers, blob.Descriptor)
	}
	if i.EditConfig != nil {
		i.EditConfig(&b.Image)
	}
	data, err := json.Marshal(b.Image)
	if err != nil {
		return b, fmt.Errorf("build config: %w", err)
	}
	b.Config = NewBlob(types[1], data)
	m.Config = b.Config.Descriptor
	if i.EditManifest != nil {
		i.EditManifest(&m)
	}
	if data, err = json.Marshal(m); err != nil {
		return b, fmt.Errorf("build manifest: %w", err)
	}
	b.Manifest = NewBlob(types[0], data)
	return b, nil
}

// Random is an image of n layers with about size bytes of files in each, a
// third of which compresses well. The same seed gives the same image.
func Random(seed uint64, n, size int) Image {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be the same each time
	var img Image
	for l := range n {
		files := []File{{Name: fmt.Sprintf("layer%d/", l)}}
		for left := size; left > 0; {
			k := min(left, 1+r.IntN(1+r.IntN(max(size/2, 2))))
			left -= k
			files = append(files, File{
				Name: fmt.Sprintf("layer%d/d%d/f%d", l, r.IntN(10), len(files)),
				Data: randomBytes(r, k), Mode: int64(0o600 | r.IntN(0o100)),
			})
		}
		c := []Compression{Gzip, Zstd, None}[r.IntN(3)]
		img.Layers = append(img.Layers, Layer{Files: files, Compression: c})
	}
	return img
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	const text = "the quick brown fox jumps over the lazy dog\n"
	for i := 0; i < n; {
		if r.IntN(3) == 0 {
			i += copy(b[i:], text)
			continue
		}
		for range 16 {
			if i < n {
				b[i] = byte(r.Uint32())
				i++
			}
		}
	}
	return b
}
