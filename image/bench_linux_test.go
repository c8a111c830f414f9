package image_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// big is an image of 7 layers that unpacks to about mib mebibytes and packs to
// about a third, as images of Debian do: a few thousand files of all sizes.
func big(mib int, c imagetest.Compression) imagetest.Image {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	text := bytes.Repeat([]byte("func (s *Store) Pull(ctx context.Context, name string) error { return nil }\n"), 1<<14)
	var img imagetest.Image
	for l, share := range []int{40, 25, 15, 10, 5, 4, 1} {
		var files []imagetest.File
		for left := mib << 20 * share / 100; left > 0; {
			n := min(left, 200+int(r.ExpFloat64()*60_000))
			left -= n
			data := make([]byte, 0, n)
			for len(data) < n {
				src, k := text, 1+r.IntN(4096)
				if r.IntN(3) == 0 {
					src = noise
				}
				at := r.IntN(len(src) - k)
				data = append(data, src[at:at+k]...)
			}
			files = append(files, imagetest.File{Name: fmt.Sprintf("usr/l%d/d%d/f%d", l, r.IntN(200), len(files)), Data: data[:n]})
		}
		img.Layers = append(img.Layers, imagetest.Layer{Files: files, Compression: c})
	}
	return img
}

var published struct {
	sync.Once
	host string
	err  error
}

// benchRegistry serves the images of the benchmarks, made once for all.
func benchRegistry(b *testing.B) string {
	published.Do(func() {
		mib, err := strconv.Atoi(os.Getenv("LIFEPOD_BENCH_MIB"))
		if err != nil {
			mib = 100
		}
		reg := &imagetest.Registry{}
		for _, c := range []imagetest.Compression{imagetest.Gzip, imagetest.Zstd} {
			if _, published.err = reg.Add("big:"+string(c), big(mib, c)); published.err != nil {
				return
			}
		}
		published.host, _, published.err = reg.Start()
	})
	if published.err != nil {
		b.Fatal(published.err)
	}
	return published.host
}

// BenchmarkPull pulls into an empty store and mounts. LIFEPOD_BENCH_MIB sets the
// size of the image unpacked; 565 is that of the targets.
func BenchmarkPull(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		for _, c := range []imagetest.Compression{imagetest.Gzip, imagetest.Zstd} {
			b.Run(fmt.Sprintf("%s/nosync=%v", c, noSync), func(b *testing.B) {
				host := benchRegistry(b)
				for b.Loop() {
					b.StopTimer()
					dir := b.TempDir()
					b.StartTimer()
					pullAndMount(b, dir, host+"/big:"+string(c), noSync)
					b.StopTimer()
					if err := os.RemoveAll(dir); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

func pullAndMount(b *testing.B, dir, name string, noSync bool) {
	s, err := image.Open(dir, image.Options{NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	img, err := s.Pull(b.Context(), name, image.PullOptions{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := s.Prepare(b.Context(), "k", img.ID)
	if err != nil {
		b.Fatal(err)
	}
	target := filepath.Join(dir, "mnt")
	if err := os.Mkdir(target, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := image.MountAll(m, target); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(img.Size)
	if err := image.Unmount(target); err != nil {
		b.Fatal(err)
	}
}

func benchImage(b *testing.B, o image.Options) (*image.Store, image.Image, string) {
	s, reg, host := open(b, o)
	img := pull(b, s, reg, host, "a:1", imagetest.Random(1, 10, 1000))
	return s, img, host + "/a:1"
}

// reportMedian reports what half of the runs took at most, beside their mean.
func reportMedian(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}

// BenchmarkPrepare makes a snapshot of 10 layers; removing it is not counted.
func BenchmarkPrepare(b *testing.B) {
	s, img, _ := benchImage(b, image.Options{})
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := s.Prepare(b.Context(), "k", img.ID); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		b.StopTimer()
		if err := s.RemoveSnapshot(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	reportMedian(b, took)
}

// BenchmarkPrepareMount does it all: prepare, mount, unmount, remove.
func BenchmarkPrepareMount(b *testing.B) {
	s, img, _ := benchImage(b, image.Options{})
	target := b.TempDir()
	for b.Loop() {
		m, err := s.Prepare(b.Context(), "k", img.ID)
		if err != nil {
			b.Fatal(err)
		}
		if err := image.MountAll(m, target); err != nil {
			b.Fatal(err)
		}
		if err := image.Unmount(target); err != nil {
			b.Fatal(err)
		}
		if err := s.RemoveSnapshot(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSecondPull asks for an image that is there.
func BenchmarkSecondPull(b *testing.B) {
	s, _, name := benchImage(b, image.Options{})
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := s.Pull(b.Context(), name, image.PullOptions{}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	reportMedian(b, took)
}

func BenchmarkGet(b *testing.B) {
	s, img, _ := benchImage(b, image.Options{})
	for b.Loop() {
		if _, err := s.Get(b.Context(), img.ID.String()); err != nil {
			b.Fatal(err)
		}
	}
}

// manyBlobs is a store of 10,000 blobs that were all pulled: 250 images of 38 layers
// each with their records, 100 snapshots, and another session that is alive.
func manyBlobs(b *testing.B) (*image.Store, image.Image) {
	testutil.RequireRoot(b)
	reg := &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	s, err := image.Open(b.TempDir(), image.Options{}) // not with NoSync: after a boot all would go
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	var got image.Image
	for i := range 250 {
		var img imagetest.Image
		for l := range 38 {
			img.Layers = append(img.Layers, imagetest.Layer{Files: []imagetest.File{{Name: "f", Data: fmt.Appendf(nil, "%d %d", i, l)}}, Compression: imagetest.None})
		}
		got = pull(b, s, reg, host, fmt.Sprintf("r%d:1", i), img)
		if i < 100 {
			if _, err := s.Prepare(b.Context(), fmt.Sprint("k", i), got.ID); err != nil {
				b.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.Root(), "content/blobs/sha256"))
	if err != nil || len(entries) < 10_000 {
		b.Fatalf("%d blobs, %v", len(entries), err)
	}
	return s, got
}

// BenchmarkOpen opens a store of 10,000 blobs; the first time after a boot all
// content is looked up among what is synced. Beside it, what a store of that size
// is asked for.
func BenchmarkOpen(b *testing.B) {
	s, img := manyBlobs(b)
	check := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	reopen := func() time.Duration {
		began := time.Now()
		again, err := image.Open(s.Root(), image.Options{NoSync: true})
		took := time.Since(began)
		check(err)
		check(again.Close())
		return took
	}
	for _, c := range []struct {
		name string
		run  func() time.Duration
	}{
		{"open", reopen},
		{"after a boot", func() time.Duration {
			check(os.WriteFile(filepath.Join(s.Root(), "boot"), []byte("another"), 0o600))
			return reopen()
		}},
		{"list", func() time.Duration {
			began := time.Now()
			list, err := s.List(b.Context())
			took := time.Since(began)
			if check(err); len(list) != 250 {
				b.Fatalf("%d images", len(list))
			}
			return took
		}},
		{"prepare 38 layers", func() time.Duration {
			began := time.Now()
			_, err := s.Prepare(b.Context(), "k", img.ID)
			took := time.Since(began)
			check(err)
			check(s.RemoveSnapshot(b.Context(), "k"))
			return took
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				took = append(took, c.run())
			}
			reportMedian(b, took)
		})
	}
}
