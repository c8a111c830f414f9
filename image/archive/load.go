package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// LoadOptions of one archive. The zero value loads all images, for the platform
// that the program runs on.
type LoadOptions struct {
	// Name names the one image that the archive gives no name. Without a tag, it
	// is the repository of images that the archive gives a tag only.
	Name string
	// MaxBytes bounds what a compressed or piped archive may unpack to, which is
	// kept in a file until it is loaded. Zero means 64 GiB.
	MaxBytes int64
	// The others are those of every image.
	image.LoadOptions
}

// Spooler has room for an archive that can be read only once: *image.Store.
type Spooler interface {
	// Spool returns an empty file that is gone when it is closed.
	Spool() (*os.File, error)
}

// Load brings the images of an archive into a store and returns them, in the
// archive's order. A file is read in place; anything else, and what is
// compressed, is first copied to a file of the store's, or, if the store is no
// [Spooler], of the system's directory for temporary files. After an error the
// images returned were loaded, and the others left nothing.
func Load(ctx context.Context, s Loader, r io.Reader, o LoadOptions) ([]image.Image, error) {
	at, size, done, err := random(ctx, s, r, o)
	if err != nil {
		return nil, fmt.Errorf("load archive: %w", err)
	}
	defer done()
	t, err := readTar(ctx, at, size)
	if err != nil {
		return nil, fmt.Errorf("load archive: %w", err)
	}
	images, err := load(ctx, s, t, o)
	if err != nil {
		return images, fmt.Errorf("load archive: %w", err)
	}
	return images, nil
}

// LoadDir is Load for a directory that holds what an archive would.
func LoadDir(ctx context.Context, s Loader, dir string, o LoadOptions) ([]image.Image, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	defer root.Close()
	images, err := load(ctx, s, tree{root}, o)
	if err != nil {
		return images, fmt.Errorf("load images from %s: %w", dir, err)
	}
	return images, nil
}

// files are those of an archive.
type files interface {
	// open returns a file's content and its size; fs.ErrNotExist if there is no
	// such file.
	open(name string) (io.ReadCloser, int64, error)
}

// found is an image of an archive.
type found struct {
	image.Source
	top ocispec.Descriptor
	// names are full; tag lacks its repository. An image may have neither.
	names []string
	tag   string
}

func load(ctx context.Context, s Loader, f files, o LoadOptions) ([]image.Image, error) {
	list, err := layoutImages(f)
	if errors.Is(err, fs.ErrNotExist) {
		list, err = dockerImages(ctx, f)
	}
	if err == nil {
		err = name(list, o.Name)
	}
	if err != nil {
		return nil, err
	}
	var images []image.Image
	for _, i := range list {
		img, err := s.Load(ctx, i, i.top, i.names, o.LoadOptions)
		if err != nil {
			return images, err
		}
		images = append(images, img)
	}
	return images, nil
}

// name gives a name to the images that have none. A name with a tag is one
// image's; one without is the repository of what has a tag only.
func name(list []found, with string) error {
	full, err := policy.WithDefaultTag(with)
	if with != "" && err != nil {
		return err
	}
	nameless := 0
	for i := range list {
		f := &list[i]
		switch {
		case len(f.names) > 0:
			continue
		case with == "":
			return fmt.Errorf("image %s has no name in the archive (its tag is %q): set Name", f.top.Digest, f.tag)
		case f.tag != "" && with != full:
			f.names = []string{with + ":" + f.tag}
		default:
			f.names = []string{with}
			nameless++
		}
	}
	if nameless > 1 {
		return fmt.Errorf("%d images have no name in the archive: Name is for one", nameless)
	}
	return nil
}

// blobs finds blobs in files.
type blobs struct {
	files
	path func(d digest.Digest) (string, bool)
}

// Blob implements [image.Source].
func (b blobs) Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	path, ok := b.path(d.Digest)
	if !ok {
		return invalid("blob %s is missing", d.Digest)
	}
	r, size, err := b.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("%s is missing", path)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if d.Size >= 0 && size != d.Size {
		return invalid("%s has %d bytes, its manifest says %d", path, size, d.Size)
	}
	_, err = io.Copy(w, &until{ctx, r})
	return err
}

// until is a reader that ends with its context.
type until struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	r   io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
