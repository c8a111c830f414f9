package treecheck

import (
	"archive/tar"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

type files = []imagetest.File

// different are images of which containerd makes something else, each with the
// reason why lifepod does not do the same. A difference that is no more fails the
// test, so that this list stays true.
var different = map[string]struct {
	why    string
	layers []files
	// theirs is part of containerd's error, ours of ours; where both are empty
	// the trees differ in what diffs begin with.
	theirs, ours string
	diffs        []string
}{
	"a directory that a name below it made": {
		why:    "it has the time of the layer below, as it was when the layer was packed, not that of unpacking: two pulls give one tree",
		layers: []files{{dir("d")}, {file("d/f")}},
		diffs:  []string{`"d": mode`},
	},
	"a file in the place of a directory of its layer": {
		why:    "it has its own time; containerd sets the directory's in the end",
		layers: []files{{{Name: "d/", ModTime: time.Unix(9, 0)}, file("d")}},
		diffs:  []string{`"d": mode`},
	},
	"a link in the place of a directory of its layer": {
		why:    "the last entry of a name holds; containerd fails to set the directory's time",
		layers: []files{{dir("d"), link("d", "gone")}},
		theirs: "no such file",
	},
	"a name that is whited out and made again": {
		why:    "the specification: a whiteout acts on the layers below alone, in whatever order entries come; containerd shows what is below",
		layers: []files{{dir("d"), file("d/low")}, {file(".wh.d"), dir("d")}},
		diffs:  []string{`"d/low": only in the second`},
	},
	"a name that is made and whited out": {
		why:    "as above, in the other order; containerd cannot make the whiteout",
		layers: []files{{dir("d"), file("d/low")}, {dir("d"), file(".wh.d")}},
		theirs: "file exists",
	},
	"a directory below an opaque one, without an entry": {
		why:    "what is hidden gives no attributes; containerd takes those of the hidden one",
		layers: []files{{dir("d"), {Name: "d/x/", Mode: 0o700}}, {dir("d"), file("d/.wh..wh..opq"), file("d/x/f")}},
		diffs:  []string{`"d/x": mode 40755 and 40700`},
	},
	"an opaque root": {
		why:    "the specification: it hides all below; overlayfs does not look at the root of a layer, containerd leaves it at that (image.Overlay ends the list of layers there)",
		layers: []files{{file("low")}, {file(".wh..wh..opq"), file("high")}},
		diffs:  []string{`".": attributes`, `"low": only in the second`},
	},
	"a hard link whose entry has other attributes": {
		why:    "a file has those of its own entry, as tar does it; containerd sets the link's, and its chown takes capabilities away",
		layers: []files{{{Name: "f", Mode: 0o755, Xattrs: map[string]string{"security.capability": capNetRaw}}, {Name: "g", Type: tar.TypeLink, Link: "f", Mode: 0o755}}},
		diffs:  []string{`"f": attributes`, `"g": attributes`},
	},
	"a directory with a default access control list": {
		why:    "a file has the list of its entry, none here; containerd lets it inherit the directory's",
		layers: []files{{{Name: "d/", Xattrs: map[string]string{"system.posix_acl_default": aclDefault}}, file("d/f")}},
		diffs:  []string{`"d/f": attributes map[] and map["system.posix_acl_access"`},
	},
	"attributes of a directory before its entry": {
		why:    "an entry says all of a directory's extended attributes, wherever it stands",
		layers: []files{{{Name: "d/", Xattrs: map[string]string{"user.a": "b"}}}, {file("d/f"), dir("d")}},
		diffs:  []string{`"d": attributes map[] and map["user.a":"b"]`},
	},
	"attributes that steer overlayfs": {
		why:    "a layer must not tell a mount with userxattr what to show; containerd drops trusted ones alone",
		layers: []files{{{Name: "d/", Xattrs: map[string]string{"user.overlay.opaque": "y"}}}},
		diffs:  []string{`"d": attributes map[] and map["user.overlay.opaque":"y"]`},
	},
	"a device that Linux does not have": {
		why:    "the kernel would cut the numbers and make another device",
		layers: []files{{{Name: "disk", Type: tar.TypeBlock, Major: 1 << 12}}},
		ours:   "device 4096:0",
	},
	"an owner that Linux does not have": {
		why:    "the kernel would cut the number: 4294967296 is root's",
		layers: []files{{{Name: "f", UID: 1 << 32}}},
		ours:   "owner 4294967296:0",
	},
	"a time that a filesystem has and a 64-bit count of nanoseconds has not": {
		why:    "it is kept; containerd makes it 1970",
		layers: []files{{{Name: "f", ModTime: time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)}}},
		diffs:  []string{`"f": mode`},
	},
}

// The values of extended attributes as the kernel has them.
const (
	capNetRaw  = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	aclDefault = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
)

func file(name string) imagetest.File     { return imagetest.File{Name: name} }
func dir(name string) imagetest.File      { return imagetest.File{Name: name + "/"} }
func link(name, to string) imagetest.File { return imagetest.File{Name: name, Link: to} }

// TestDifferencesAreTold: each one is a row of DIFFERENCES.md, with its reason.
func TestDifferencesAreTold(t *testing.T) {
	b, err := os.ReadFile(module + "/DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range different {
		if row := "| " + name + " | " + d.why + " |\n"; !strings.Contains(string(b), row) {
			t.Errorf("DIFFERENCES.md lacks the row\n%s", row)
		}
	}
	if n := strings.Count(string(b), "containerd 2.4 |\n|---|---|\n"); n != 1 {
		t.Errorf("DIFFERENCES.md has %d tables of them", n)
	}
}

// TestDifferences: each difference is there, and is the one that is listed.
func TestDifferences(t *testing.T) {
	b := onBoth(t)
	if b == nil {
		return
	}
	pulled, n := map[string]image.Image{}, 0
	for name, d := range different {
		var img imagetest.Image
		for _, f := range d.layers {
			img.Layers = append(img.Layers, imagetest.Layer{Files: f})
		}
		n++
		got, ours, theirs := b.pull(t, "different-"+string(rune('a'+n)), img)
		for who, e := range map[string]struct {
			err  error
			want string
		}{"we": {ours, d.ours}, "containerd": {theirs, d.theirs}} {
			if (e.err != nil) != (e.want != "") || e.err != nil && !strings.Contains(e.err.Error(), e.want) {
				t.Errorf("%s: %s: %v, want %q", name, who, e.err, e.want)
			}
		}
		if ours == nil && theirs == nil {
			pulled[name] = got
		}
	}
	b.stop(t)
	dirs, err := b.theirLayers()
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range pulled {
		t.Run(name, func(t *testing.T) {
			var theirs []string
			for _, c := range img.ChainIDs {
				theirs = append(theirs, dirs[c])
			}
			diffs := compare(t, imagetest.Image{}, b.ourLayers(img), theirs)
			if !slices.EqualFunc(diffs, different[name].diffs, strings.HasPrefix) {
				t.Errorf("the differences are\n%s\nwant %q", strings.Join(diffs, "\n"), different[name].diffs)
			}
		})
	}
}
