package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// memory is a Loader that reads all of an image and keeps its names.
type memory map[string]digest.Digest

func (m memory) Load(ctx context.Context, src image.Source, d ocispec.Descriptor, names []string, _ image.LoadOptions) (image.Image, error) {
	b, err := read(ctx, src, d)
	if err != nil {
		return image.Image{}, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(b, &manifest); err != nil {
		return image.Image{}, err
	}
	for _, l := range append(manifest.Layers, manifest.Config) {
		v := l.Digest.Verifier()
		if err := src.Blob(ctx, l, v); err != nil {
			return image.Image{}, err
		}
		if !v.Verified() {
			return image.Image{}, fmt.Errorf("blob %s: digest mismatch", l.Digest)
		}
	}
	for _, n := range names {
		m[n] = d.Digest
	}
	return image.Image{ID: manifest.Config.Digest, Tags: names}, nil
}

func read(ctx context.Context, src image.Source, d ocispec.Descriptor) ([]byte, error) {
	var b buffer
	if err := src.Blob(ctx, d, &b); err != nil {
		return nil, err
	}
	if got := digest.FromBytes(b); got != d.Digest {
		return nil, fmt.Errorf("blob %s: digest mismatch", d.Digest)
	}
	return b, nil
}

// entries are files of a tar, in order.
type entries []tar.Header

func file(name, data string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"x.data": data}}
}

func jsonFile(t testing.TB, name string, v any) tar.Header {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return file(name, string(b))
}

func link(name, target string, kind byte) tar.Header {
	return tar.Header{Name: name, Linkname: target, Typeflag: kind}
}

func (e entries) tar(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range e {
		data := h.PAXRecords["x.data"]
		h.PAXRecords, h.Size = nil, int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// edit returns the entries with one replaced, or, if f returns nil, without it.
func (e entries) edit(name string, f func(tar.Header) []tar.Header) entries {
	var out entries
	for _, h := range e {
		if h.Name == name {
			out = append(out, f(h)...)
		} else {
			out = append(out, h)
		}
	}
	return out
}

func build(t testing.TB, seed uint64) imagetest.Built {
	t.Helper()
	b, err := imagetest.Random(seed, 3, 2000).Build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// layout is an OCI layout with its index at the end, as skopeo writes it.
func layout(t testing.TB, annotations map[string]string, images ...imagetest.Built) entries {
	t.Helper()
	var e entries
	var idx ocispec.Index
	idx.SchemaVersion = 2
	for _, b := range images {
		for _, blob := range append(b.Layers, b.Config, b.Manifest) {
			path, _ := blobPath(blob.Digest)
			e = append(e, file(path, string(blob.Data)))
		}
		d := b.Manifest.Descriptor
		d.Annotations = annotations
		idx.Manifests = append(idx.Manifests, d)
	}
	return append(e, jsonFile(t, fileLayout, ocispec.ImageLayout{Version: "1.0.0"}), jsonFile(t, fileIndex, idx))
}

// old is an archive of docker save before OCI: a folder a layer, plain tars, a
// link where a layer is there twice.
func old(t testing.TB, tags []string, b imagetest.Built) entries {
	t.Helper()
	e := entries{file(b.Config.Digest.Encoded()+".json", string(b.Config.Data))}
	m := dockerImage{Config: b.Config.Digest.Encoded() + ".json", RepoTags: tags}
	at := map[digest.Digest]string{}
	for i, l := range b.Layers {
		dir := fmt.Sprintf("%064d", i)
		e = append(e, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir}, file(dir+"/VERSION", "1.0"))
		if first, ok := at[l.Digest]; ok {
			e = append(e, link(dir+"/layer.tar", "../"+first, tar.TypeSymlink))
		} else {
			e = append(e, file(dir+"/layer.tar", string(l.Data)))
			at[l.Digest] = dir + "/layer.tar"
		}
		m.Layers = append(m.Layers, dir+"/layer.tar")
	}
	return append(e, jsonFile(t, "manifest.json", []dockerImage{m}), file("repositories", "{}"))
}

func twice(t testing.TB) imagetest.Built {
	t.Helper()
	l := imagetest.Layer{Files: []imagetest.File{{Name: "f", Data: []byte("x")}}, Compression: imagetest.None}
	packed := l
	packed.Compression = imagetest.Gzip
	b, err := imagetest.Image{Layers: []imagetest.Layer{l, packed, l}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var full = map[string]string{annotationName: "example.com/x:1", annotationRef: "1"}

func TestLoad(t *testing.T) {
	a, b := build(t, 1), build(t, 2)
	da, db := a.Manifest.Digest.String(), b.Manifest.Digest.String()
	for rule, c := range map[string]struct {
		e    entries
		name string
		want []string
	}{
		"full names":            {layout(t, full, a), "", []string{"example.com/x:1", "example.com/x@" + da}},
		"a full name as ref":    {layout(t, map[string]string{annotationRef: "example.com/x:1"}, a), "", []string{"example.com/x:1", "example.com/x@" + da}},
		"a tag and a repo":      {layout(t, map[string]string{annotationRef: "v1"}, a), "r.io:5000/x", []string{"r.io:5000/x:v1"}},
		"a tag and a full name": {layout(t, map[string]string{annotationRef: "v1"}, a), "r.io:5000/x:v2", []string{"r.io:5000/x:v2"}},
		"no name":               {layout(t, nil, a), "x", []string{"x"}},
		"a digest as name":      {layout(t, map[string]string{annotationName: "example.com/x@" + db}, b), "", []string{"example.com/x@" + db}},
		"docker save, old":      {old(t, []string{"x:1", "y:2"}, twice(t)), "", []string{"x:1", "y:2"}},
		"docker save, no tag":   {old(t, nil, twice(t)), "z:1", []string{"z:1"}},
		"./ before the names": {slices.Collect(func(yield func(tar.Header) bool) {
			for _, h := range layout(t, full, a) {
				h.Name = "./" + h.Name
				if !yield(h) {
					return
				}
			}
		}), "", []string{"example.com/x:1", "example.com/x@" + da}},
	} {
		t.Run(rule, func(t *testing.T) {
			m := memory{}
			list, err := Load(t.Context(), m, iotest.OneByteReader(bytes.NewReader(c.e.tar(t))), LoadOptions{Name: c.name})
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, c.want) {
				t.Errorf("names %q, want %q", got, c.want)
			}
		})
	}
}

func TestLoadSeveral(t *testing.T) {
	m := memory{}
	e := layout(t, nil, build(t, 1), build(t, 2))
	if _, err := Load(t.Context(), m, bytes.NewReader(e.tar(t)), LoadOptions{Name: "x"}); err == nil || !strings.Contains(err.Error(), "2 images have no name") || len(m) > 0 {
		t.Errorf("%v %v", m, err)
	}
	e = layout(t, full, build(t, 1), build(t, 2))
	list, err := Load(t.Context(), m, bytes.NewReader(e.tar(t)), LoadOptions{})
	if err != nil || len(list) != 2 || list[0].ID == list[1].ID {
		t.Errorf("%v %v", list, err)
	}
}

// However an archive comes, it is the same.
func TestWaysIn(t *testing.T) {
	plain := layout(t, full, build(t, 1)).tar(t)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write(plain)
	_ = w.Close()
	for name, b := range map[string][]byte{"plain": plain, "gzip": gz.Bytes()} {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for way, r := range map[string]io.Reader{"file": f, "pipe": struct{ io.Reader }{bytes.NewReader(b)}} {
			m := memory{}
			if _, err := Load(t.Context(), m, r, LoadOptions{}); err != nil || len(m) != 2 {
				t.Errorf("%s, %s: %v %v", name, way, m, err)
			}
		}
	}
	dir := t.TempDir()
	tr := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(tr)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	m := memory{}
	if _, err := LoadDir(t.Context(), m, dir, LoadOptions{}); err != nil || len(m) != 2 {
		t.Errorf("%v %v", m, err)
	}
}

func TestHostileTar(t *testing.T) {
	b := build(t, 1)
	good := layout(t, full, b)
	config, _ := blobPath(b.Config.Digest)
	lowest, _ := blobPath(b.Layers[0].Digest)
	with := func(h ...tar.Header) entries { return append(slices.Clone(good), h...) }
	replace := func(name, data string) entries {
		return good.edit(name, func(tar.Header) []tar.Header { return []tar.Header{file(name, data)} })
	}
	without := func(name string) entries {
		return good.edit(name, func(tar.Header) []tar.Header { return nil })
	}
	dockerOf := old(t, []string{"x:1"}, twice(t))
	docker := func(v any) entries {
		return dockerOf.edit("manifest.json", func(tar.Header) []tar.Header { return []tar.Header{jsonFile(t, "manifest.json", v)} })
	}
	tooMany := make([]string, 501)
	for rule, c := range map[string]struct {
		e    entries
		want string
	}{
		"a name above":                {with(file("../../etc/passwd", "x")), "leads out of the archive"},
		"a name above, in the middle": {with(file("blobs/../../x", "x")), "leads out of the archive"},
		"an absolute name":            {with(file("/etc/passwd", "x")), "leads out of the archive"},
		"a link above":                {with(link("blobs/sha256/x", "../../../etc/shadow", tar.TypeSymlink)), "leads out of the archive"},
		"an absolute link":            {with(link("x", "/etc/shadow", tar.TypeSymlink)), "leads out of the archive"},
		"a hard link above":           {with(link("x", "../etc/shadow", tar.TypeLink)), "leads out of the archive"},
		"a link as the index":         {append(without(fileIndex), link(fileIndex, "a", tar.TypeSymlink), link("a", fileIndex, tar.TypeSymlink)), "leads on and on"},
		"a device":                    {with(tar.Header{Name: "x", Typeflag: tar.TypeBlock}), "a device"},
		"a FIFO":                      {with(tar.Header{Name: "x", Typeflag: tar.TypeFifo}), "a device"},
		"an entry twice":              {with(file(fileIndex, "{}")), "twice"},
		"a link over an entry":        {with(link(lowest, "oci-layout", tar.TypeSymlink)), "twice"},
		"a long name":                 {with(file(strings.Repeat("n", 2000), "")), "a name of 2000 bytes"},
		"a blob changed":              {replace(lowest, strings.Repeat("x", int(b.Layers[0].Size))), "digest mismatch"},
		"a blob shorter":              {replace(lowest, "x"), "has 1 bytes, its manifest says"},
		"a blob missing":              {without(lowest), "is missing"},
		"the config missing":          {without(config), "is missing"},
		"the index missing":           {without(fileIndex), "index.json is missing"},
		"no layout at all":            {entries{file("x", "y")}, "no OCI image layout and no archive of docker save"},
		"docker before 1.10":          {entries{file("repositories", "{}")}, "older than 1.10"},
		"nothing in it":               {nil, "holds no file"},
		"an index of nothing":         {replace(fileIndex, `{"manifests":[]}`), "lists no image"},
		"an index of no digest":       {replace(fileIndex, `{"manifests":[{"digest":"sha256:../../x"}]}`), "digest"},
		"an index of another kind":    {replace(fileIndex, `[]`), "index.json: json"},
		"an index without end":        {replace(fileIndex, strings.Repeat(" ", maxJSON+1)), "at most 8388608 are allowed"},
		"another version":             {replace(fileLayout, `{"imageLayoutVersion":"2.0"}`), `version "2.0"`},
		"no name anywhere":            {layout(t, nil, b), "has no name in the archive"},
		"docker: nothing":             {docker([]dockerImage{}), "lists no image"},
		"docker: a config above":      {docker([]dockerImage{{Config: "../../etc/passwd"}}), "is missing"},
		"docker: a layer missing":     {docker([]dockerImage{{Config: dockerOf[0].Name, Layers: []string{"a", "b", "c"}}}), `names "a", which is missing`},
		"docker: too few layers":      {docker([]dockerImage{{Config: dockerOf[0].Name}}), "3 diff IDs for 0 layers"},
		"docker: too many layers":     {docker([]dockerImage{{Config: dockerOf[0].Name, Layers: tooMany}}), "501 layers"},
		"docker: another config":      {docker([]dockerImage{{Config: "repositories", Layers: []string{"a"}}}), "0 diff IDs for 1 layers"},
	} {
		t.Run(rule, func(t *testing.T) {
			m := memory{}
			list, err := Load(t.Context(), m, bytes.NewReader(c.e.tar(t)), LoadOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) || len(list) > 0 || len(m) > 0 {
				t.Errorf("%v %v, want %q", m, err, c.want)
			}
		})
	}
}

func TestCutShort(t *testing.T) {
	whole := layout(t, full, build(t, 1)).tar(t)
	for n := 0; n < len(whole)-1024; n += 997 { // a tar's end is a kilobyte of zeros
		m := memory{}
		if _, err := Load(t.Context(), m, bytes.NewReader(whole[:n]), LoadOptions{}); err == nil || len(m) > 0 {
			t.Fatalf("cut at %d: %v", n, m)
		}
	}
	m := memory{}
	if _, err := Load(t.Context(), m, bytes.NewReader(whole), LoadOptions{MaxBytes: 4000}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "more than 4000 bytes") {
		t.Error(err)
	}
	broken := iotest.TimeoutReader(bytes.NewReader(whole))
	if _, err := Load(t.Context(), m, broken, LoadOptions{}); !errors.Is(err, iotest.ErrTimeout) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, m, bytes.NewReader(whole), LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSparseIsRefused(t *testing.T) {
	h := file("blobs/x", "")
	if err := (&tarFiles{}).add(&tar.Header{Name: h.Name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"GNU.sparse.major": "1"}}, span{0, 0}, 10); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func TestHostileDirectory(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(secret, filepath.Join(dir, fileLayout)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDir(t.Context(), memory{}, dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Error(err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, fileLayout), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDir(t.Context(), memory{}, dir, LoadOptions{}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := LoadDir(t.Context(), memory{}, filepath.Join(dir, "none"), LoadOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A blob goes through in pieces, whatever its size.
func TestNoBlobInMemory(t *testing.T) {
	const size = 64 << 20
	layer := bytes.Repeat([]byte{'x'}, size)
	b, err := imagetest.Image{Layers: []imagetest.Layer{{Tar: layer, Compression: imagetest.None}}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	archive := layout(t, full, b).tar(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Load(t.Context(), memory{}, struct{ io.Reader }{bytes.NewReader(archive)}, LoadOptions{})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err != nil || got > size/8 {
		t.Errorf("%d bytes allocated: %v", got, err)
	}
}

func FuzzLoad(f *testing.F) {
	b := build(f, 1)
	f.Add(layout(f, full, b).tar(f), "")
	f.Add(old(f, []string{"x:1"}, twice(f)).tar(f), "n")
	f.Add(entries{link("a", "b", tar.TypeLink), file("oci-layout", "{}"), file("manifest.json", "[{}]")}.tar(f), "x:1")
	f.Fuzz(func(t *testing.T, archive []byte, name string) {
		m := memory{}
		list, err := Load(t.Context(), m, bytes.NewReader(archive), LoadOptions{Name: name, MaxBytes: 1 << 20})
		if err == nil && (len(list) == 0 || len(m) == 0) {
			t.Error("nothing was loaded, and no error")
		}
	})
}
