package main

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor LAYOUT TARGET")
		os.Exit(2)
	}
	began := time.Now()
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
	wall := time.Since(began)
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail
	figures := map[string]int64{
		"Wall": wall.Nanoseconds(), "CPU": u.Utime.Nano() + u.Stime.Nano(), "Peak": u.Maxrss << 10,
	}
	_ = json.NewEncoder(os.Stdout).Encode(figures)
}

// run unpacks all layers, the largest first, three at a time: two goroutines
// each keep all cores busy to the end.
func run(layout, target string) error {
	syscall.Umask(0)
	var index ocispec.Index
	if err := read(filepath.Join(layout, ocispec.ImageIndexFile), &index); err != nil {
		return err
	}
	blob := func(d digest.Digest) string { return filepath.Join(layout, "blobs", "sha256", d.Encoded()) }
	var manifest ocispec.Manifest
	if err := read(blob(index.Manifests[0].Digest), &manifest); err != nil {
		return err
	}
	var config ocispec.Image
	if err := read(blob(manifest.Config.Digest), &config); err != nil {
		return err
	}
	order := make([]int, len(manifest.Layers))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(manifest.Layers[b].Size, manifest.Layers[a].Size) })
	var g errgroup.Group
	g.SetLimit(3)
	for _, i := range order {
		g.Go(func() error {
			l := manifest.Layers[i]
			diff, packed, err := layer(blob(l.Digest), filepath.Join(target, fmt.Sprint(i)), strings.HasSuffix(l.MediaType, "zstd"))
			if err == nil && (packed != l.Digest || diff != config.RootFS.DiffIDs[i]) {
				err = fmt.Errorf("layer %d: wrong digest", i)
			}
			return err
		})
	}
	return g.Wait()
}

func read(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// layer unpacks one: this goroutine writes, another inflates.
func layer(file, dir string, isZstd bool) (diff, packed digest.Digest, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	in, plain := sha256.New(), sha256.New()
	chunks, free := make(chan []byte, 4), make(chan []byte, 6)
	var g errgroup.Group
	g.Go(func() error {
		defer close(chunks)
		return inflate(io.TeeReader(f, in), isZstd, chunks, free)
	})
	src := &chunkReader{chunks: chunks, free: free, each: func(b []byte) { plain.Write(b) }}
	err = untar(src, dir)
	_, rest := io.Copy(io.Discard, src)
	err = errors.Join(err, rest, g.Wait())
	return digest.NewDigest(digest.SHA256, plain), digest.NewDigest(digest.SHA256, in), err
}

func inflate(r io.Reader, isZstd bool, chunks chan<- []byte, free <-chan []byte) error {
	buffered := bufio.NewReaderSize(r, 256<<10)
	var d io.Reader
	if isZstd {
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		d = z
	} else {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		d = z
	}
	for {
		var b []byte
		select {
		case b = <-free:
		default:
			b = make([]byte, 256<<10)
		}
		n, err := io.ReadFull(d, b[:cap(b)])
		chunks <- b[:n]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // a stream that is cut short has the wrong digest
		}
		if err != nil {
			return err
		}
	}
}

// chunkReader reads what comes by a channel.
type chunkReader struct {
	chunks    <-chan []byte
	free      chan<- []byte
	each      func([]byte)
	all, rest []byte
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.all != nil {
			select {
			case c.free <- c.all:
			default:
			}
		}
		b, ok := <-c.chunks
		if !ok {
			c.all = nil
			return 0, io.EOF
		}
		c.each(b)
		c.all, c.rest = b, b
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
