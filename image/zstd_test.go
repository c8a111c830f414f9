package image

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A decoder serves one layer after the other, also after one that was broken, and
// never two at once.
func TestDecoders(t *testing.T) {
	packed := func(text string) []byte {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll([]byte(text), nil)
	}
	d := &decoders{}
	open := func(b []byte) *decoding {
		r, err := d.open(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return r.(*decoding)
	}
	one, two := strings.Repeat("one ", 1000), strings.Repeat("two ", 2000)
	a, b := open(packed(one)), open(packed(two))
	if a.Decoder == b.Decoder {
		t.Fatal("two layers have one decoder")
	}
	for r, want := range map[*decoding]string{a: one, b: two} {
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("read %.8q, %v; want %.8q", got, err, want)
		}
	}
	for _, r := range []*decoding{a, b} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	broken := packed(one)
	c := open(append(broken[:len(broken)-8:len(broken)-8], "rubbish!"...))
	if c.Decoder != b.Decoder {
		t.Error("a free decoder was not used")
	}
	if _, err := io.ReadAll(c); err == nil {
		t.Error("a broken layer was read")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(packed(two))
	if got, err := io.ReadAll(again); err != nil || string(got) != two || again.Decoder != c.Decoder {
		t.Errorf("after a broken layer: %.8q, %v", got, err)
	}
	if err := again.Close(); err != nil || len(d.free) != 2 {
		t.Errorf("%d are free, %v; want 2", len(d.free), err)
	}
}

// Layers that need a window are fewer at a time, unless the caller says how many.
func TestParallel(t *testing.T) {
	const gzip, zst = ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd
	for _, c := range []struct {
		asked int
		media []string
		want  int
	}{
		{0, nil, 3}, {0, []string{gzip, gzip}, 3}, {0, []string{gzip, zst}, 2}, {0, []string{"application/vnd.docker.image.rootfs.diff.tar.zstd"}, 2},
		{5, []string{zst}, 5}, {1, []string{gzip}, 1},
	} {
		p := &pull{s: &Store{opts: Options{Parallel: c.asked}}, manifest: &document{}}
		for _, m := range c.media {
			p.manifest.Layers = append(p.manifest.Layers, ocispec.Descriptor{MediaType: m})
		}
		if got := p.parallel(); got != c.want {
			t.Errorf("%d asked for, layers %q: %d at a time, want %d", c.asked, c.media, got, c.want)
		}
	}
}
