package imagetest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// File is one entry of a layer. A name that ends in "/" is a directory, one
// with Link a symbolic link; Type overrides both.
type File struct {
	Name string
	Data []byte
	// Mode defaults to 0644, for directories to 0755.
	Mode     int64
	UID, GID int
	Link     string
	// Type is a type of archive/tar, for hard links, devices and FIFOs.
	Type         byte
	Major, Minor int64
	Xattrs       map[string]string
	ModTime      time.Time
	// Sparse leaves zeros out of the stream, as GNU tar does in its pax format 1.0.
	Sparse bool
}

// Compression of a layer.
type Compression string

// The compressions; the zero value is Gzip.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
	None Compression = "none"
)

// Layer is what a layer consists of. The zero value is an empty layer.
type Layer struct {
	Files []File
	// Tar, if set, is the stream itself, instead of Files.
	Tar         []byte
	Compression Compression
	// Packed, if set, is the blob itself, whatever it holds. Tar or Files then
	// give the diff ID only.
	Packed []byte
}

// Program is a layer of one executable file.
func Program(name string, binary []byte) Layer {
	return Layer{Files: []File{{Name: strings.TrimPrefix(name, "/"), Data: binary, Mode: 0o755}}}
}

func (f File) header() *tar.Header {
	h := &tar.Header{
		Name: f.Name, Mode: f.Mode, Uid: f.UID, Gid: f.GID, Linkname: f.Link, Typeflag: f.Type,
		Devmajor: f.Major, Devminor: f.Minor, ModTime: f.ModTime, Size: int64(len(f.Data)), Format: tar.FormatPAX,
	}
	if h.Typeflag == 0 {
		switch {
		case strings.HasSuffix(f.Name, "/"):
			h.Typeflag = tar.TypeDir
		case f.Link != "":
			h.Typeflag = tar.TypeSymlink
		default:
			h.Typeflag = tar.TypeReg
		}
	}
	if h.Mode == 0 {
		h.Mode = 0o644
		if h.Typeflag == tar.TypeDir {
			h.Mode = 0o755
		}
	}
	for k, v := range f.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+k] = v
	}
	return h
}

// Archive writes files as a tar stream.
func Archive(files ...File) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h, data := f.header(), f.Data
		if f.Sparse {
			h, data = sparse(h, f.Data)
		}
		from := b.Len()
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %q: %w", f.Name, err)
		}
		if f.Sparse {
			markSparse(b.Bytes()[from:])
		}
		if _, err := w.Write(data); err != nil {
			return nil, fmt.Errorf("write %q: %w", f.Name, err)
		}
		if err := w.Flush(); err != nil {
			return nil, fmt.Errorf("write %q: %w", f.Name, err)
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// build returns the layer's blob and its diff ID.
func (l Layer) build(docker bool) (Blob, digest.Digest, error) {
	plain := l.Tar
	if plain == nil {
		var err error
		if plain, err = Archive(l.Files...); err != nil {
			return Blob{}, "", err
		}
	}
	packed, err := pack(l.Compression, plain)
	if l.Packed != nil {
		packed = l.Packed
	}
	mediaType := map[Compression]string{
		Gzip: ocispec.MediaTypeImageLayerGzip, Zstd: ocispec.MediaTypeImageLayerZstd, None: ocispec.MediaTypeImageLayer,
	}[cmp.Or(l.Compression, Gzip)]
	if docker {
		mediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	return NewBlob(mediaType, packed), digest.FromBytes(plain), err
}

func pack(c Compression, plain []byte) ([]byte, error) {
	var b bytes.Buffer
	var w io.WriteCloser
	switch cmp.Or(c, Gzip) {
	case Gzip:
		w, _ = gzip.NewWriterLevel(&b, gzip.BestSpeed)
	case Zstd:
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		w = z
	case None:
		return plain, nil
	default:
		return nil, fmt.Errorf("unknown compression %q", c)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}
