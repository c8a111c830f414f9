package imagetest

import (
	"archive/tar"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// RandomTree is an image of n layers, one on the other, of all that a layer can
// hold: files of every kind with owners, modes, extended attributes and times,
// hard links, sparse files, long and odd names; whiteouts and opaque directories;
// names that change their kind, also within a layer, come twice, or lead through
// links; directories without an entry of their own. Every tool that unpacks
// layers should make the same of it, but for the times of directories without an
// entry: what the specification leaves open, or the tools at hand get wrong, is
// not in it. The same seed gives the same image.
func RandomTree(seed uint64, n int) Image {
	t := tree{r: rand.New(rand.NewPCG(seed, 1)), kinds: map[string]byte{}} //nolint:gosec // it is to be the same each time
	var img Image
	for range n {
		c := []Compression{Gzip, Zstd, None}[t.r.IntN(3)]
		img.Layers = append(img.Layers, Layer{Files: t.layer(), Compression: c})
	}
	return img
}

// tree is what the layers so far show, and the layer that is being made.
type tree struct {
	r *rand.Rand
	// kinds are the types of what is there, by path.
	kinds map[string]byte
	// below is kinds before this layer.
	below map[string]byte
	// made are the names that this layer has an entry for, implicit the
	// directories that it has none for, hidden the names that it whites out, dirs
	// the directories that it had an entry for, whatever became of them.
	made                   map[string]File
	implicit, hidden, dirs map[string]bool
	files                  []File
}

func (t *tree) layer() []File {
	t.below = maps.Clone(t.kinds)
	t.made, t.files = map[string]File{}, nil
	t.implicit, t.hidden, t.dirs = map[string]bool{}, map[string]bool{}, map[string]bool{}
	steps := []func(){
		t.anything, t.anything, t.anything, t.anything, t.anything, t.anything, t.anything,
		t.hardLink, t.whiteout, t.opaque, t.again, t.throughLink,
	}
	for range 10 + t.r.IntN(40) {
		steps[t.r.IntN(len(steps))]()
	}
	return t.files
}

// pick returns one of the keys of m that ok allows.
func pick[V any](t *tree, m map[string]V, ok func(string, V) bool) (string, bool) {
	var keys []string
	for k, v := range m {
		if ok(k, v) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return "", false
	}
	slices.Sort(keys)
	return keys[t.r.IntN(len(keys))], true
}

// somewhere is a directory that is there.
func (t *tree) somewhere() string {
	if p, ok := pick(t, t.kinds, func(p string, k byte) bool { return k == tar.TypeDir && strings.Count(p, "/") < 5 }); ok && t.r.IntN(4) > 0 {
		return p
	}
	return "."
}

// name is a new name in dir, or one that is there already.
func (t *tree) name(dir string) string {
	base := string(rune('a' + t.r.IntN(8)))
	switch t.r.IntN(16) {
	case 0:
		base = strings.Repeat(base, 255)
	case 1:
		base += "\xff\x01 \n*é"
	case 2:
		base = strings.Repeat(base, 101) // more than the field of old headers
	}
	return path.Join(dir, base)
}

// enter makes sure that the layer has a directory: by an entry of its own or,
// where it is one of the layers below, now and then without.
func (t *tree) enter(dir string) {
	if dir == "." {
		return
	}
	t.enter(path.Dir(dir))
	if _, ok := t.made[dir]; ok || t.implicit[dir] {
		return
	}
	if t.r.IntN(3) == 0 {
		t.implicit[dir] = true
		return
	}
	t.directory(dir)
}

// directory adds an entry for a directory that is there.
func (t *tree) directory(p string) { t.put(p, t.attributes(File{Type: tar.TypeDir})) }

// put adds an entry. What it replaces goes with all that is below it.
func (t *tree) put(p string, f File) {
	if t.hidden[p] || !t.replaceable(p, f) || f.Type == tar.TypeDir && t.implicit[p] {
		return
	}
	t.enter(path.Dir(p))
	if f.Type != tar.TypeDir || t.kinds[p] != tar.TypeDir {
		t.forget(p)
	}
	f.Name = t.spell(p)
	t.kinds[p], t.made[p] = f.Type, f
	delete(t.implicit, p)
	if f.Type == tar.TypeDir {
		t.dirs[p] = true
	}
	t.files = append(t.files, f)
}

// replaceable says whether an entry may come for p. Within a layer, tools stumble
// over directories that became links, and over those below another that went.
func (t *tree) replaceable(p string, f File) bool {
	if f.Type == tar.TypeDir {
		return true
	}
	for q := range t.dirs {
		if strings.HasPrefix(q, p+"/") {
			return false
		}
	}
	return !t.dirs[p] || f.Type != tar.TypeSymlink && f.Type != tar.TypeLink
}

// forget takes away p and all below it.
func (t *tree) forget(p string) {
	gone := func(q string) bool { return q == p || strings.HasPrefix(q, p+"/") }
	maps.DeleteFunc(t.kinds, func(q string, _ byte) bool { return gone(q) })
	maps.DeleteFunc(t.made, func(q string, _ File) bool { return gone(q) })
	maps.DeleteFunc(t.implicit, func(q string, _ bool) bool { return gone(q) })
}

// spell writes a name in one of the ways that tools do.
func (t *tree) spell(p string) string { return []string{"", "", "./", "/"}[t.r.IntN(4)] + p }

func (t *tree) anything() {
	p := t.name(t.somewhere())
	t.put(p, t.attributes(t.file(p)))
}

// again makes something else of a name of this layer.
func (t *tree) again() {
	if p, ok := pick(t, t.made, func(string, File) bool { return true }); ok {
		t.put(p, t.attributes(t.file(p)))
	}
}

func (t *tree) file(p string) File {
	switch k := t.r.IntN(20); {
	case k < 4:
		return File{Type: tar.TypeDir}
	case k < 7:
		to := []string{"/", "..", "../../../etc/passwd", "a", "/b/c", path.Base(p), "./", strings.Repeat("long/", 60), "a b\n"}
		return File{Type: tar.TypeSymlink, Link: to[t.r.IntN(len(to))]}
	case k < 8:
		return File{Type: tar.TypeFifo}
	case k < 9:
		return File{Type: tar.TypeChar, Major: 1 + int64(t.r.IntN(4095)), Minor: int64(t.r.IntN(1 << 20))}
	case k < 10:
		return File{Type: tar.TypeBlock, Major: int64(t.r.IntN(4096)), Minor: int64(t.r.IntN(1 << 20))}
	case k < 12:
		return File{Type: tar.TypeReg, Data: t.holes(), Sparse: t.r.IntN(3) > 0}
	}
	return File{Type: tar.TypeReg, Data: randomBytes(t.r, t.r.IntN(1+t.r.IntN(20_000)))}
}

// holes are zeros with a little in between.
func (t *tree) holes() []byte {
	b := make([]byte, t.r.IntN(400_000))
	for range t.r.IntN(4) {
		if len(b) > 0 {
			copy(b[t.r.IntN(len(b)):], "not a hole")
		}
	}
	return b
}

// hardLink gives a file of this layer another name, with the same attributes as
// an honest tool does.
func (t *tree) hardLink() {
	from, ok := pick(t, t.made, func(_ string, f File) bool { return f.Type != tar.TypeDir })
	if !ok {
		return
	}
	p := t.name(t.somewhere())
	if p == from || t.hidden[p] || strings.HasPrefix(from, p+"/") {
		return
	}
	f, kind := t.made[from], t.kinds[from]
	f.Type, f.Link, f.Data, f.Sparse, f.Major, f.Minor = tar.TypeLink, t.spell(from), nil, false, 0, 0
	t.put(p, f)
	if t.made[p].Link == f.Link {
		t.kinds[p] = kind
	}
}

// whiteout removes what a layer below has, or what none has.
func (t *tree) whiteout() {
	p, ok := pick(t, t.below, func(p string, _ byte) bool { return t.untouched(p) })
	if !ok || t.r.IntN(8) == 0 {
		p = t.name(t.somewhere())
		if _, ok := t.kinds[p]; ok || t.hidden[p] {
			return
		}
	}
	dir, base := path.Split(p)
	t.enter(path.Clean(dir))
	t.forget(p)
	t.hidden[p] = true
	t.files = append(t.files, File{Name: t.spell(dir + ".wh." + base)})
}

// untouched says that p is as the layers below left it, with all below it.
func (t *tree) untouched(p string) bool {
	if _, ok := t.kinds[p]; !ok || t.hidden[p] || t.implicit[p] {
		return false
	}
	for q := range t.made {
		if q == p || strings.HasPrefix(q, p+"/") {
			return false
		}
	}
	return true
}

// opaque hides what the layers below have in a directory.
func (t *tree) opaque() {
	p, ok := pick(t, t.below, func(p string, k byte) bool { return k == tar.TypeDir && t.kinds[p] == k })
	if !ok {
		return
	}
	for q := range t.implicit {
		if q == p || strings.HasPrefix(q, p+"/") {
			return // it would have nothing to take its attributes from
		}
	}
	t.directory(p)
	t.files = append(t.files, File{Name: t.spell(p + "/.wh..wh..opq")})
	for _, q := range slices.Sorted(maps.Keys(t.kinds)) {
		if _, ok := t.made[q]; !ok && strings.HasPrefix(q, p+"/") {
			delete(t.kinds, q)
		}
	}
}

// throughLink makes a link to a directory of this layer and a file by its way.
func (t *tree) throughLink() {
	dir, ok := pick(t, t.made, func(_ string, f File) bool { return f.Type == tar.TypeDir })
	if !ok {
		return
	}
	link, p := path.Join(path.Dir(dir), "link"), t.name(dir)
	if t.kinds[link] == tar.TypeDir || t.dirs[link] || t.hidden[link] || t.hidden[p] || t.kinds[p] == tar.TypeDir {
		return
	}
	to := []string{"/" + dir, path.Base(dir), "../" + strings.Repeat("../", strings.Count(dir, "/")) + dir}
	t.put(link, t.attributes(File{Type: tar.TypeSymlink, Link: to[t.r.IntN(len(to))]}))
	t.put(p, t.attributes(File{Type: tar.TypeReg, Data: []byte("by way of a link")}))
	t.files[len(t.files)-1].Name = path.Join(link, path.Base(p)) // the directory has an entry: put added one
}

// attributes adds mode, owner, time and extended attributes.
func (t *tree) attributes(f File) File {
	ids := []int{0, 0, 1, 1000, 65534, math.MaxInt32, math.MaxUint32 - 1}
	f.Mode, f.UID, f.GID = int64(1+t.r.IntN(0o7777)), ids[t.r.IntN(len(ids))], ids[t.r.IntN(len(ids))]
	f.ModTime = time.Unix(t.r.Int64N(1<<32)-1<<20, t.r.Int64N(1e9))
	if f.Type == tar.TypeSymlink || t.r.IntN(3) > 0 {
		return f
	}
	f.Xattrs = map[string]string{"user.test": string(randomBytes(t.r, 1+t.r.IntN(100))), "user.é": fmt.Sprint(t.r.Int())}
	if f.Type == tar.TypeReg && t.r.IntN(2) == 0 {
		f.Xattrs["security.capability"] = "\x01\x00\x00\x02" + string(randomBytes(t.r, 4)) + strings.Repeat("\x00", 12)
	}
	if (f.Type == tar.TypeReg || f.Type == tar.TypeDir) && t.r.IntN(2) == 0 {
		f.Xattrs["system.posix_acl_access"] = acl(f.Mode)
	}
	return f
}

// acl is an access control list, as the kernel has it, of a file with the mode:
// user 7 may read what the group may.
func acl(mode int64) string {
	u, g, o := string(rune(mode>>6&7)), string(rune(mode>>3&7)), string(rune(mode&7))
	const none = "\xff\xff\xff\xff"
	return "\x02\x00\x00\x00" + "\x01\x00" + u + "\x00" + none + "\x02\x00\x04\x00\x07\x00\x00\x00" +
		"\x04\x00\x05\x00" + none + "\x10\x00" + g + "\x00" + none + "\x20\x00" + o + "\x00" + none
}
