package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/internal/testutil"
	"golang.org/x/sys/unix"
)

// archive makes a tar stream; the data of an entry is its Linkname's or, for a
// file, the content that PAXRecords names "test".
func archive(t testing.TB, hs ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range hs {
		data := h.Uname
		h.Uname = ""
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(data))
		}
		h.Format = tar.FormatPAX
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

func file(name, data string) tar.Header { return tar.Header{Name: name, Uname: data} }
func dir(name string) tar.Header        { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
func link(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}
func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

// apply unpacks into a directory beside a canary, which must not change.
func apply(t testing.TB, o Options, b []byte) (string, Result, error) {
	t.Helper()
	testutil.RequireRoot(t)
	top := t.TempDir()
	root := filepath.Join(top, "root")
	for _, d := range []string{root, filepath.Join(top, "canary")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "canary", "f"), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, top)
	res, err := Apply(context.Background(), root, bytes.NewReader(b), o)
	if after := snapshot(t, top); before != after {
		t.Fatalf("the outside changed:\n%s\nnow\n%s", before, after)
	}
	return root, res, err
}

// snapshot describes all of top but root's inside.
func snapshot(t testing.TB, top string) string {
	var b strings.Builder
	_ = filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(p, &st)
		}
		if err != nil {
			t.Fatal(err)
		}
		if p == filepath.Join(top, "root") {
			return filepath.SkipDir
		}
		content, _ := os.ReadFile(p)
		b.WriteString(p + " " + string(content) + " " + time.Unix(st.Mtim.Unix()).String() + "\n")
		return nil
	})
	return b.String()
}

func TestTree(t *testing.T) {
	when := time.Unix(1_600_000_000, 123456789)
	root, res, err := apply(t, Options{}, archive(t,
		tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 5, Gid: 6, ModTime: when},
		tar.Header{Name: "d/f", Uname: "hello", Mode: 0o4755, Uid: 7, Gid: 8, ModTime: when,
			PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b", "SCHILY.xattr.trusted.overlay.redirect": "/x"}},
		link("d/g", "d/f"), symlink("s", "/d/f"),
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "p", Typeflag: tar.TypeFifo},
		file("deep/er/x", "y"), file("d/.wh.gone", ""), file("o/.wh..wh..opq", ""),
		file("zeros", strings.Repeat("\x00", 300<<10)+"end"+strings.Repeat("\x00", 200<<10)),
		file(".wh..wh.plnk/1", ""),
	))
	if err != nil {
		t.Fatal(err)
	}
	st := func(name string) (s unix.Stat_t) {
		if err := unix.Lstat(filepath.Join(root, name), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if f := st("d/f"); f.Mode != unix.S_IFREG|0o4755 || f.Uid != 7 || f.Gid != 8 || f.Nlink != 2 || f.Mtim.Nsec != 123456789 || f.Ino != st("d/g").Ino {
		t.Errorf("d/f: %+v", f)
	}
	if d := st("d"); d.Mode != unix.S_IFDIR|0o1777 || d.Uid != 5 || d.Mtim.Sec != when.Unix() {
		t.Errorf("d: %+v", d)
	}
	if c := st("null"); c.Mode&unix.S_IFMT != unix.S_IFCHR || c.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("null: %+v", c)
	}
	if w := st("d/gone"); !isWhiteout(&w) {
		t.Errorf("whiteout: %+v", w)
	}
	if !Opaque(filepath.Join(root, "o")) || Opaque(filepath.Join(root, "d")) {
		t.Error("opaque")
	}
	if z := st("zeros"); z.Size != 500<<10+3 || z.Blocks*512 > 200<<10 {
		t.Errorf("zeros: size %d, %d bytes on disk", z.Size, z.Blocks*512)
	}
	b, _ := os.ReadFile(filepath.Join(root, "zeros"))
	if string(b) != strings.Repeat("\x00", 300<<10)+"end"+strings.Repeat("\x00", 200<<10) {
		t.Error("the content of zeros")
	}
	v := make([]byte, 9)
	if n, err := unix.Getxattr(filepath.Join(root, "d/f"), "user.a", v); err != nil || string(v[:n]) != "b" {
		t.Errorf("user.a: %q %v", v, err)
	}
	if _, err := unix.Getxattr(filepath.Join(root, "d/f"), "trusted.overlay.redirect", v); err == nil {
		t.Error("a layer steers overlayfs")
	}
	if want := []string{".wh..wh.plnk", "deep", "deep/er", "o"}; !slices.Equal(res.Implicit, want) {
		t.Errorf("implicit %q, want %q", res.Implicit, want)
	}
}

// Within one layer, a name that comes twice is what came last, and a whiteout
// hides only what lies below.
func TestReplace(t *testing.T) {
	root, _, err := apply(t, Options{}, archive(t,
		file("a", "1"), file("a", "2"), dir("b"), file("b/x", ""), file("b", "file"),
		file("c", ""), dir("c"), file("c/y", ""), symlink("l", "d"), dir("d"), file("l/in", "d"), file("l", "file"),
		tar.Header{Name: "t/", Typeflag: tar.TypeDir, ModTime: time.Unix(10, 0)}, tar.Header{Name: "t", ModTime: time.Unix(20, 0)},
		tar.Header{Name: "u/", Typeflag: tar.TypeDir, ModTime: time.Unix(30, 0)}, tar.Header{Name: "u/", Typeflag: tar.TypeDir, ModTime: time.Unix(31, 0)},
		file(".wh.m", ""), dir("m"), file("m/n", ""), dir("q"), file("q/r", ""), file(".wh.q", ""), file(".wh.f", ""), file("f", "f"),
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "2", "b": "file", "c/y": "", "d/in": "d", "l": "file", "m/n": "", "q/r": "", "f": "f"} {
		if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	for name, sec := range map[string]int64{"t": 20, "u": 31} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(root, name), &st); err != nil || st.Mtim.Sec != sec {
			t.Errorf("%s has the time %d, its last entry says %d: %v", name, st.Mtim.Sec, sec, err)
		}
	}
	if !Opaque(filepath.Join(root, "m")) || !Opaque(filepath.Join(root, "q")) {
		t.Error("a directory that is whited out and made again is not opaque")
	}
}

// Every attack is refused or stays inside; apply checks the canary.
func TestEscapes(t *testing.T) {
	for name, c := range map[string]struct {
		entries []tar.Header
		refused bool
	}{
		"dot dot":               {[]tar.Header{file("../canary/f", "x")}, true},
		"dot dot inside":        {[]tar.Header{dir("a"), file("a/../../canary/f", "x")}, true},
		"absolute":              {[]tar.Header{file("/canary/f", "x")}, false},
		"absolute dot dot":      {[]tar.Header{file("/../canary/f", "x")}, true},
		"absolute symlink":      {[]tar.Header{symlink("a", "/"), file("a/canary", "x")}, false},
		"relative symlink":      {[]tar.Header{symlink("a", "../canary"), file("a/f", "x")}, false},
		"symlink chain":         {[]tar.Header{dir("d"), symlink("d/a", "../.."), symlink("b", "d/a/canary"), file("b/f", "x")}, false},
		"symlink swap":          {[]tar.Header{dir("a"), file("a/f", "1"), symlink("a", "../canary"), file("a/f", "x")}, false},
		"file through symlink":  {[]tar.Header{symlink("f", "../canary/f"), file("f", "x")}, false},
		"hard link outside":     {[]tar.Header{link("a", "../canary/f")}, true},
		"hard link by symlink":  {[]tar.Header{symlink("a", "../canary"), link("b", "a/f")}, true},
		"hard link to symlink":  {[]tar.Header{symlink("a", "../canary/f"), link("b", "a"), file("b", "x")}, false},
		"whiteout of parent":    {[]tar.Header{dir("a"), file("a/.wh...", "")}, true},
		"whiteout of self":      {[]tar.Header{dir("a"), file("a/.wh..", "")}, true},
		"whiteout by symlink":   {[]tar.Header{symlink("a", "../canary"), file("a/.wh.f", "")}, false},
		"opaque by symlink":     {[]tar.Header{symlink("a", "../canary"), file("a/.wh..wh..opq", "")}, false},
		"directory times":       {[]tar.Header{dir("p"), dir("p/canary"), symlink("p", "..")}, false},
		"mode through symlink":  {[]tar.Header{symlink("canary", "../canary"), dir("canary"), {Name: "canary", Typeflag: tar.TypeDir, Mode: 0o777}}, false},
		"symlink loop":          {[]tar.Header{symlink("a", "b"), symlink("b", "a"), file("a/f", "x")}, true},
		"magic link":            {[]tar.Header{symlink("a", "/proc/self/cwd"), file("a/f", "x")}, false},
		"file as parent":        {[]tar.Header{file("a", ""), file("a/b", "")}, true},
		"hard link to nothing":  {[]tar.Header{link("a", "b")}, true},
		"hard link to the root": {[]tar.Header{link("a", ".")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := apply(t, Options{}, archive(t, c.entries...))
			if (err != nil) != c.refused {
				t.Errorf("refused = %v, want %v: %v", err != nil, c.refused, err)
			}
			if err != nil && strings.Contains(name, "dot dot") && !errors.Is(err, ErrUnsafe) {
				t.Errorf("%v is not ErrUnsafe", err)
			}
		})
	}
}

func TestApplyLimits(t *testing.T) {
	b := archive(t, file("a", "12345"), file("bcd", ""))
	for name, l := range map[string]Limits{"entries": {Entries: 1}, "name": {Name: 2}, "unpacked": {Unpacked: 4}} {
		if _, _, err := apply(t, Options{Limits: l}, b); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := apply(t, Options{Limits: Limits{Entries: 2, Name: 3}}, b); err != nil {
		t.Error(err)
	}
}

func TestManyDirectories(t *testing.T) {
	var hs []tar.Header
	for i := range 3 * dirCacheSize {
		d := strings.Repeat("x", i+1)
		hs = append(hs, dir(d), file(d+"/f", d), link(d+"/l", "x/f"))
	}
	root, _, err := apply(t, Options{}, archive(t, hs...))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * dirCacheSize {
		if b, err := os.ReadFile(filepath.Join(root, strings.Repeat("x", i+1), "l")); err != nil || string(b) != "x" {
			t.Fatalf("%d: %q %v", i, b, err)
		}
	}
}

func TestInherit(t *testing.T) {
	low, _, err := apply(t, Options{}, archive(t,
		tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 3, ModTime: time.Unix(99, 0)},
		dir("gone"), file("f", "")))
	if err != nil {
		t.Fatal(err)
	}
	top, res, err := apply(t, Options{}, archive(t, file("tmp/x", ""), file("f/y", ""), file("new/z", "")))
	if err != nil {
		t.Fatal(err)
	}
	if err := Inherit(top, res.Implicit, []string{low}, Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{"tmp": 0o1777, "f": 0o755, "new": 0o755} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(top, name), &st); err != nil || st.Mode&0o7777 != want {
			t.Errorf("%s: mode %o, want %o", name, st.Mode, want)
		}
		if name == "tmp" && (st.Uid != 3 || st.Mtim.Sec != 99) {
			t.Errorf("tmp: %+v", st)
		}
	}
}

// A directory without an entry inherits what shows below it, and nothing from
// what is hidden; one that got an entry later, or took the place of a whiteout,
// inherits nothing.
func TestInheritWhatShows(t *testing.T) {
	d := func(name string, mode int64) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode, ModTime: time.Unix(mode, 0)}
	}
	layers := [][]tar.Header{
		{d("a", 0o700), d("a/b", 0o701), d("c", 0o702), d("c/d", 0o703), d("e", 0o704), d("usr", 0o755), d("usr/lib", 0o705), symlink("lib", "usr/lib")},
		{d("c", 0o712), file("c/.wh..wh..opq", "")},
	}
	var below []string
	for _, l := range layers {
		root, _, err := apply(t, Options{}, archive(t, l...))
		if err != nil {
			t.Fatal(err)
		}
		below = append([]string{root}, below...)
	}
	top, res, err := apply(t, Options{}, archive(t,
		file("a/.wh..wh..opq", ""), file("a/b/x", ""), file("c/d/x", ""), file(".wh.e", ""), file("e/x", ""), file("lib/x", ""),
		file("f/g/x", ""), file("f", ""), d("f", 0o720)))
	if err != nil {
		t.Fatal(err)
	}
	if err := Inherit(top, res.Implicit, below, Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{"a": 0o700, "a/b": 0o755, "c": 0o712, "c/d": 0o755, "e": 0o755, "lib": 0o705, "f": 0o720} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(top, name), &st); err != nil || st.Mode != unix.S_IFDIR|want {
			t.Errorf("%s: mode %o, want a directory with %o: %v", name, st.Mode, want, err)
		}
		if when := int64(want); want != 0o755 && st.Mtim.Sec != when || want == 0o755 && st.Mtim.Sec != 0 {
			t.Errorf("%s: time %d", name, st.Mtim.Sec)
		}
	}
}

// The lowest layer has nothing to hide, and holds no marks.
func TestLowest(t *testing.T) {
	root, _, err := apply(t, Options{Lowest: true}, archive(t, dir("d"), file("d/.wh.x", ""), file(".wh.d", ""), file("e/.wh..wh..opq", ""), file(".wh.f", "")))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	_ = filepath.WalkDir(root, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if Opaque(p) {
			t.Errorf("%s is opaque", p)
		}
		all = append(all, strings.TrimPrefix(p, root))
		return nil
	})
	if want := []string{"", "/d", "/e"}; !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

// A file has the access control list that its entry says, whatever its directory
// would let it inherit.
func TestDefaultACL(t *testing.T) {
	const acl = "\x02\x00\x00\x00\x01\x00\x07\x00\xff\xff\xff\xff\x02\x00\x07\x00\x07\x00\x00\x00\x04\x00\x05\x00\xff\xff\xff\xff\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x05\x00\xff\xff\xff\xff"
	root, _, err := apply(t, Options{}, archive(t,
		tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: map[string]string{paxXattr + aclDefault: acl}}, file("d/f", "")))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := readXattrs(filepath.Join(root, "d")); err != nil || x[aclDefault] != acl {
		t.Errorf("the directory has %q, %v", x, err)
	}
	if x, err := readXattrs(filepath.Join(root, "d/f")); err != nil || len(x) > 0 {
		t.Errorf("the file has %q, %v", x, err)
	}
}

// What the kernel would cut to something else is refused.
func TestNumbers(t *testing.T) {
	for _, h := range []tar.Header{
		{Name: "f", Uid: 1 << 32}, {Name: "f", Gid: 1<<32 - 1}, {Name: "d", Typeflag: tar.TypeDir, Uid: -1},
		{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1 << 12}, {Name: "b", Typeflag: tar.TypeBlock, Devminor: 1 << 20},
		{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1 << 20, Devminor: 3},
	} {
		if _, _, err := apply(t, Options{}, archive(t, h)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `entry "`+h.Name) {
			t.Errorf("%+v: %v", h, err)
		}
	}
}
