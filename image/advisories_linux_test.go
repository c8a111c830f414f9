package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/layer"
	"github.com/lifepod/lifepod/internal/testutil"
)

type (
	entry = imagetest.File
	stack = []imagetest.Layer
)

func of(entries ...entry) imagetest.Layer { return imagetest.Layer{Files: entries} }

// advisory is a hole that some tool had, as an image made for it.
type advisory struct {
	// ids are its numbers, or those of several of one kind.
	ids string
	// layers may aim at a canary, an absolute path.
	layers func(canary string) stack
	// edit changes what was built.
	edit func(*ocispec.Manifest)
	// refused is part of the error of the pull; empty means that the image is
	// pulled, and what it tries stays inside.
	refused string
	// inside is what some names then hold.
	inside map[string]string
}

// advisories are the published holes in how tools unpack, mount and remove
// images. The ones about users, volumes and mounts are in cri's tests, those of
// archives in image/archive's, those of credentials in image/remote's. Tools had
// more for which lifepod has no counterpart: copying out of containers
// (CVE-2019-14271, CVE-2019-18466, CVE-2019-10152, CVE-2021-41089), builds
// (CVE-2024-23651, CVE-2024-9675, CVE-2026-33747), checkpoints (CVE-2026-50195,
// CVE-2026-53489, CVE-2026-53492).
var advisories = map[string]advisory{
	"file through a link to outside": {
		ids: "CVE-2014-6407, CVE-2014-9356, CVE-2018-15664",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d", Link: c}, entry{Name: "d/f", Data: []byte("x")})}
		},
	},
	"file through a link in a layer below": {
		ids: "CVE-2018-15664, CVE-2021-29136",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d", Link: c}), of(entry{Name: "d/f", Data: []byte("x")})}
		},
		inside: map[string]string{"d/f": "x"},
	},
	"directory that becomes a link between two entries": {
		ids: "CVE-2018-15664, CVE-2025-47290",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d/"}, entry{Name: "d/f", Data: []byte("1")}, entry{Name: "d", Link: c}, entry{Name: "d/f", Data: []byte("2")}, entry{Name: "d/new"})}
		},
	},
	"directories made through a link": {
		ids: "CVE-2020-10696, GHSA-q6r4-3wmg-fwcq",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d", Link: "../../../../../../../../" + c}, entry{Name: "d/made/"}, entry{Name: "d/made/by/"}, entry{Name: "d/d/", Mode: 0o777})}
		},
	},
	"the root is a link": {
		ids: "CVE-2021-29136",
		layers: func(c string) stack {
			return stack{of(entry{Name: ".", Link: c}), of(entry{Name: "f", Data: []byte("x")})}
		},
		refused: "the root can only be a directory",
	},
	"the root is a link by another name": {
		ids:     "CVE-2021-29136",
		layers:  func(c string) stack { return stack{of(entry{Name: "a/..", Link: c})} },
		refused: "the root can only be a directory",
	},
	"the root is a file": {
		ids:     "CVE-2021-29136",
		layers:  func(string) stack { return stack{of(entry{Name: "./.", Type: tar.TypeReg})} },
		refused: "the root can only be a directory",
	},
	"name that climbs out": {
		ids:     "CVE-2014-9356, CVE-2024-0406",
		layers:  func(c string) stack { return stack{of(entry{Name: strings.Repeat("../", 20) + c + "/f"})} },
		refused: layer.ErrUnsafe.Error(),
	},
	"absolute name": {
		ids:    "CVE-2014-9356",
		layers: func(c string) stack { return stack{of(entry{Name: c + "/f", Data: []byte("x")})} },
		inside: map[string]string{"CANARY/f": "x"},
	},
	"hard link to outside": {
		ids:     "CVE-2014-6407",
		layers:  func(c string) stack { return stack{of(entry{Name: "h", Type: tar.TypeLink, Link: c + "/f"})} },
		refused: "not in this layer",
	},
	"hard link that climbs out": {
		ids: "CVE-2014-6407",
		layers: func(c string) stack {
			return stack{of(entry{Name: "h", Type: tar.TypeLink, Link: strings.Repeat("../", 20) + c + "/f"})}
		},
		refused: layer.ErrUnsafe.Error(),
	},
	"hard link through a link": {
		ids: "CVE-2014-6407",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d", Link: c}, entry{Name: "h", Type: tar.TypeLink, Link: "d/f"})}
		},
		refused: "not in this layer",
	},
	"mode and owner through a hard link to a link": {
		ids: "CVE-2021-32760",
		layers: func(c string) stack {
			return stack{of(entry{Name: "l", Link: c + "/f"}, entry{Name: "h", Type: tar.TypeLink, Link: "l", Mode: 0o4777, UID: 9, GID: 9, Xattrs: map[string]string{"user.a": "b"}})}
		},
	},
	"time of a directory that became a link": {
		ids: "CVE-2021-32760",
		layers: func(c string) stack {
			return stack{of(entry{Name: "p/"}, entry{Name: "p/d/", Mode: 0o777}, entry{Name: "p", Link: c})}
		},
	},
	"whiteout through a link": {
		ids: "CVE-2021-29136, CVE-2024-23652",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d", Link: c}), of(entry{Name: "d", Link: c}, entry{Name: "d/.wh.f"}, entry{Name: "d/.wh..wh..opq"}, entry{Name: "d/d/.wh.f"})}
		},
	},
	"whiteout of the parent": {
		ids:     "CVE-2021-29136",
		layers:  func(string) stack { return stack{of(), of(entry{Name: "d/.wh..."})} },
		refused: layer.ErrUnsafe.Error(),
	},
	"whiteout of the directory itself": {
		ids:     "CVE-2021-29136",
		layers:  func(string) stack { return stack{of(), of(entry{Name: ".wh.."})} },
		refused: layer.ErrUnsafe.Error(),
	},
	"whiteout of nothing": {
		ids:     "CVE-2021-29136",
		layers:  func(string) stack { return stack{of(), of(entry{Name: "d/.wh."})} },
		refused: layer.ErrUnsafe.Error(),
	},
	"attributes that steer overlayfs": {
		ids: "CVE-2021-3493, CVE-2023-0386",
		layers: func(c string) stack {
			return stack{of(entry{Name: "d/"}), of(entry{Name: "d/", Xattrs: map[string]string{
				"trusted.overlay.redirect": c, "trusted.overlay.metacopy": "", "trusted.overlay.opaque": "y", "user.overlay.redirect": c,
			}})}
		},
		inside: map[string]string{"d/f": "-"},
	},
	"device whose numbers are cut": {
		ids:     "containerd 2.4: out-of-range device numbers",
		layers:  func(string) stack { return stack{of(entry{Name: "disk", Type: tar.TypeBlock, Major: 1<<12 | 8})} },
		refused: "Linux has none above",
	},
	"owner who is cut to root": {
		ids:     "CVE-2024-40635",
		layers:  func(string) stack { return stack{of(entry{Name: "su", Mode: 0o4755, UID: 1 << 32})} },
		refused: "ids go from 0 to",
	},
	"bomb": {
		ids:     "CVE-2017-14992, CVE-2020-1702",
		layers:  func(string) stack { return stack{of(entry{Name: "zeros", Data: make([]byte, 2<<20)})} },
		refused: layer.ErrLimit.Error(),
	},
	"stream that is cut short": {
		ids:     "CVE-2021-20291",
		layers:  func(string) stack { return stack{{Tar: cut(entry{Name: "f", Data: make([]byte, 9999)})}} },
		refused: "unexpected EOF",
	},
	"compression for which a program would be run": {
		ids:     "CVE-2014-9357, CVE-2021-20291",
		layers:  func(string) stack { return stack{{Packed: []byte("\xfd7zXZ\x00 and so on")}} },
		refused: "tar",
	},
	"digest that is a path": {
		ids:     "CVE-2024-3727, CVE-2014-9358",
		layers:  func(string) stack { return stack{of()} },
		edit:    func(m *ocispec.Manifest) { m.Layers[0].Digest = "sha256:../../../../canary/f" },
		refused: "invalid manifest",
	},
	"digest of another algorithm, as a path": {
		ids:     "CVE-2024-3727",
		layers:  func(string) stack { return stack{of()} },
		edit:    func(m *ocispec.Manifest) { m.Config.Digest = "../../../canary:0123456789abcdef0123456789abcdef" },
		refused: "invalid manifest",
	},
	"layer from a host that gets no credentials": {
		ids:    "CVE-2020-15157",
		layers: func(string) stack { return stack{of()} },
		edit: func(m *ocispec.Manifest) {
			m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
			m.Layers[0].URLs = []string{"https://elsewhere.example/layer"}
		},
		refused: "foreign layer",
	},
	"manifest that is an index, too": {
		ids:     "CVE-2021-41190",
		layers:  func(string) stack { return stack{of()} },
		edit:    func(m *ocispec.Manifest) { m.MediaType = ocispec.MediaTypeImageIndex },
		refused: "it says it is",
	},
}

// cut is half of an archive.
func cut(files ...entry) []byte {
	b, err := imagetest.Archive(files...)
	if err != nil {
		panic(err)
	}
	return b[:len(b)/2]
}

// TestAdvisories: every attack is refused or stays inside, with each snapshotter,
// from the pull to the removal.
func TestAdvisories(t *testing.T) {
	testutil.RequireRoot(t)
	for _, sn := range []image.Snapshotter{image.Overlay{}, image.Copy{}, image.Overlay{User: true}} {
		for name, a := range advisories {
			t.Run(sn.String()+"/"+name, func(t *testing.T) { a.try(t, sn) })
		}
	}
}

func (a advisory) try(t *testing.T, sn image.Snapshotter) {
	top := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{top}})
	canary := imagetest.NewCanary(t, filepath.Join(top, "canary"))
	defer canary.Check(t)
	s, reg, host := openAs(t, image.Options{Snapshotter: sn, Limits: layer.Limits{Unpacked: 1 << 20}})
	img := imagetest.Image{Layers: a.layers(canary.Dir), EditManifest: a.edit}
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	canary.Check(t)
	if a.refused != "" {
		if err == nil || !strings.Contains(err.Error(), a.refused) {
			t.Fatalf("%s: %v, want an error with %q", a.ids, err, a.refused)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", a.ids, err)
	}
	root := mount(t, s, "k", got, false)
	for name, want := range a.inside {
		content := read(t, root, strings.Replace(name, "CANARY", canary.Dir, 1))
		if content != want && !(want == "-" && strings.HasPrefix(content, "!")) {
			t.Errorf("%s: %s is %q, want %q", a.ids, name, content, want)
		}
	}
	canary.Check(t)
	if err := errors.Join(image.Unmount(root), s.RemoveSnapshot(t.Context(), "k"), s.Remove(t.Context(), got.ID.String())); err != nil {
		t.Error(err)
	}
}

// CVE-2024-23652: what a container put into its root is removed, and not what it
// leads to.
func TestRemovalStaysInside(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	canary := imagetest.NewCanary(t, filepath.Join(t.TempDir(), "canary"))
	got := pull(t, s, reg, host, "a:1", imagetest.Random(1, 2, 100))
	root := mount(t, s, "k", got, false)
	for _, err := range []error{
		os.Symlink(canary.Dir, root+"/d"), os.Mkdir(root+"/e", 0o755), os.Symlink("../../../../../../../.."+canary.Dir, root+"/e/up"),
		os.RemoveAll(root + "/layer0"), os.Symlink(canary.Dir, root+"/layer0"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(image.Unmount(root), s.RemoveSnapshot(t.Context(), "k"), s.Remove(t.Context(), got.ID.String())); err != nil {
		t.Error(err)
	}
	canary.Check(t)
}

// CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: nobody but the owner gets at
// the programs in layers, which may have setuid bits.
func TestNobodyElseGetsIn(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	got := pull(t, s, reg, host, "a:1", imagetest.Image{Layers: stack{of(entry{Name: "su", Mode: 0o4755})}})
	mount(t, s, "k", got, false)
	closed := 0
	for _, dir := range []string{"content", "content/blobs", "snapshots", "snapshots/layers", "snapshots/keys", "quarantine"} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(s.Root(), dir), &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o077 != 0 {
			t.Errorf("%s has mode %o", dir, st.Mode&0o7777)
		}
		closed++
	}
	fi, err := os.Stat(filepath.Join(s.Root(), "meta.db"))
	if err != nil || fi.Mode().Perm() != 0o600 || closed != 6 {
		t.Errorf("meta.db: %v, %v", fi, err)
	}
}

// CVE-2017-14992: with the default limits, a layer that unpacks to thousands of
// times its size is refused, and the error says what to do about it.
func TestBomb(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Size: 2 << 30, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 1100 { // beyond what the ratio begins at
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Add("a:1", imagetest.Image{Layers: stack{{Packed: packed.Bytes()}}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if !errors.Is(err, layer.ErrLimit) || !strings.Contains(err.Error(), "layer 0 (sha256:") || !strings.Contains(err.Error(), "Limits.Ratio") {
		t.Errorf("%d bytes that unpack to 1100 MiB: %v", packed.Len(), err)
	}
}

// CVE-2020-1702, CVE-2021-21285: manifests and configs that are too long, or not
// what they should be.
func TestHostileDocuments(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	long := append(append([]byte(`{"schemaVersion":2,"x":"`), bytes.Repeat([]byte("x"), 8<<20)...), `"}`...)
	good, err := imagetest.Image{Layers: stack{of(entry{Name: "f"})}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	type blob = imagetest.Blob
	manifest := func(b []byte) blob { return imagetest.NewBlob(ocispec.MediaTypeImageManifest, b) }
	withConfig := func(b []byte) blob {
		c := imagetest.NewBlob(ocispec.MediaTypeImageConfig, b)
		reg.Put(c)
		return manifest(bytes.ReplaceAll(good.Manifest.Data, fmt.Appendf(nil, `%q,"size":%d`, good.Config.Digest, good.Config.Size),
			fmt.Appendf(nil, `%q,"size":%d`, c.Digest, c.Size)))
	}
	for _, l := range good.Layers {
		reg.Put(l)
	}
	for name, c := range map[string]struct {
		manifest blob
		want     string
	}{
		"long manifest":            {manifest(long), "ManifestLimit"},
		"long config":              {withConfig(long), "ManifestLimit"},
		"null manifest":            {manifest([]byte("null")), "schemaVersion"},
		"manifest is a list":       {manifest([]byte("[]")), "invalid manifest"},
		"null config":              {withConfig([]byte("null")), "0 diff IDs for 1 layers"},
		"config of another shape":  {withConfig([]byte(`{"rootfs":[]}`)), "invalid image config"},
		"diff ID is a path":        {withConfig([]byte(`{"rootfs":{"diff_ids":["sha256:../../x"]}}`)), "diff ID"},
		"deeply nested":            {manifest(bytes.Repeat([]byte("["), 1<<20)), "invalid manifest"},
		"index of itself, nothing": {imagetest.NewBlob(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[]}`)), "empty index"},
	} {
		reg.Set("a:1", c.manifest)
		if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("the store has %q, %v", slices.Compact(wrong), err)
	}
}
