// Package archive brings images in and out of a store as files, for machines
// without a registry: archives of docker save and OCI image layouts, as a
// directory or as a tar.
//
// [Save] writes one tar that is both: an OCI image layout (index.json, blobs/)
// that docker load reads, too (manifest.json, repositories). [Load] reads that,
// either alone, and the archives of docker save before OCI (a folder a layer),
// also compressed by gzip or zstd, wherever in the archive its index lies.
// [SaveDir] and [LoadDir] do the same with a directory.
//
// Blobs go from the archive into the store in pieces and are verified there: no
// blob is held in memory. What leads out of an archive, is in it twice, is
// missing, too large, or not what its digest says is refused by name.
package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Loader is a store that takes images: *image.Store.
type Loader interface {
	Load(ctx context.Context, src image.Source, d ocispec.Descriptor, names []string, o image.LoadOptions) (image.Image, error)
}

// Exporter is a store that gives images: *image.Store.
type Exporter interface {
	Export(ctx context.Context, name string) (*image.Export, error)
}

var (
	_ Loader   = (*image.Store)(nil)
	_ Exporter = (*image.Store)(nil)
)

// ErrInvalid is for an archive that is broken, or made to do harm.
var ErrInvalid = errors.New("invalid archive")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// The files of layouts.
const (
	fileLayout       = "oci-layout"
	fileIndex        = "index.json"
	fileManifest     = "manifest.json" // of docker save
	fileRepositories = "repositories"  // of docker save
	layoutVersion    = "1.0.0"

	// The first is containerd's and Docker's: a full name. The other may be a
	// full name or a tag only.
	annotationName = "io.containerd.image.name"
	annotationRef  = "org.opencontainers.image.ref.name"
)
