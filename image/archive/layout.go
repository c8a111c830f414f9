package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxJSON bounds every file that is read whole.
const maxJSON = 8 << 20

// readJSON decodes a small file of an archive.
func readJSON(f files, name string, v any) error {
	r, size, err := f.open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	if size > maxJSON {
		return invalid("%s has %d bytes, at most %d are allowed", name, size, maxJSON)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxJSON))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return invalid("%s: %w", name, err)
	}
	return nil
}

// layoutImages lists the images of an OCI image layout. fs.ErrNotExist if it is
// none.
func layoutImages(f files) ([]found, error) {
	var version ocispec.ImageLayout
	if err := readJSON(f, fileLayout, &version); err != nil {
		return nil, err
	}
	if version.Version != layoutVersion {
		return nil, invalid("%s says version %q, %q is supported", fileLayout, version.Version, layoutVersion)
	}
	var index ocispec.Index
	err := readJSON(f, fileIndex, &index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid("%s is missing", fileIndex)
	}
	if err != nil {
		return nil, err
	}
	src := blobs{f, blobPath}
	var list []found
	seen := map[digest.Digest]int{}
	for _, d := range index.Manifests {
		if err := d.Digest.Validate(); err != nil {
			return nil, invalid("%s: digest %q: %w", fileIndex, d.Digest, err)
		}
		names, tag := namesOf(d)
		if at, again := seen[d.Digest]; again && tag == "" { // the same image by another name
			list[at].names = append(list[at].names, names...)
			continue
		}
		seen[d.Digest] = len(list)
		d.Annotations = nil
		list = append(list, found{Source: src, top: d, names: names, tag: tag})
	}
	if len(list) == 0 {
		return nil, invalid("%s lists no image", fileIndex)
	}
	return list, nil
}

// namesOf is how an image is called: by a tag and by its digest there.
func namesOf(d ocispec.Descriptor) (names []string, tag string) {
	name := d.Annotations[annotationName]
	if name == "" {
		name = d.Annotations[annotationRef]
		if !strings.ContainsAny(name, "/:") {
			return nil, name
		}
	}
	names = []string{name}
	if ref, err := policy.Parse(name); err == nil && ref.Digest == "" {
		names = append(names, ref.Digested(d.Digest.String()))
	}
	return names, ""
}

// blobPath is where a layout keeps a blob.
func blobPath(d digest.Digest) (string, bool) {
	if d.Validate() != nil {
		return "", false
	}
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded(), true
}
