package atomicwriter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type vector struct {
	In map[string]struct {
		Data string
		Mode uint32
	}
	Out struct {
		Changed bool
		Error   string
		Tree    []string
	}
}

func vectors(t *testing.T) []vector {
	t.Helper()
	f, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []vector
	for s := bufio.NewScanner(f); s.Scan(); {
		var v vector
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// Kubernetes' own writer gave these trees, three writes to each directory.
func TestKubernetesVectors(t *testing.T) {
	all := vectors(t)
	if len(all) < 30 {
		t.Fatalf("only %d vectors", len(all))
	}
	var dir string
	for i, v := range all {
		if i%3 == 0 {
			dir = t.TempDir()
		}
		files := map[string]File{}
		for p, f := range v.In {
			files[p] = File{Data: []byte(f.Data), Mode: f.Mode}
		}
		changed, err := Write(dir, files, nil)
		text := ""
		if err != nil {
			text = err.Error()
		}
		tree, err := Tree(dir)
		if err != nil {
			t.Fatal(err)
		}
		if changed != v.Out.Changed || text != v.Out.Error || !slices.Equal(tree, v.Out.Tree) {
			t.Errorf("write %d: changed %v, error %q, tree\n  %s\nwant changed %v, error %q, tree\n  %s", i, changed, text,
				strings.Join(tree, "\n  "), v.Out.Changed, v.Out.Error, strings.Join(v.Out.Tree, "\n  "))
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) bool {
	t.Helper()
	in := map[string]File{}
	for p, data := range files {
		in[p] = File{Data: []byte(data), Mode: 0o644}
	}
	changed, err := Write(dir, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// visible is what a reader of the volume sees, without the names of its own.
func visible(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(rel string)
	walk = func(rel string) {
		list, err := os.ReadDir(filepath.Join(dir, rel))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			p := filepath.Join(rel, e.Name())
			if rel == "" && strings.HasPrefix(e.Name(), "..") {
				continue
			}
			info, err := os.Stat(filepath.Join(dir, p))
			if err != nil {
				t.Fatalf("%s leads nowhere: %v", p, err)
			}
			if info.IsDir() {
				walk(p)
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, p))
			if err != nil {
				t.Fatal(err)
			}
			out[p] = string(b)
		}
	}
	walk("")
	return out
}

func TestReplaces(t *testing.T) {
	dir := t.TempDir()
	for i, files := range []map[string]string{
		{"a": "1", "d/b": "2", "d/e/c": "3"},
		{"a": "1", "d/b": "2"},
		{"a/b": "now a directory"},
		{"a": "a file again"},
		{},
		{"z": ""},
	} {
		if !write(t, dir, files) {
			t.Errorf("write %d changed nothing", i)
		}
		if got := visible(t, dir); fmt.Sprint(got) != fmt.Sprint(files) {
			t.Errorf("write %d: %v, want %v", i, got, files)
		}
		if write(t, dir, files) {
			t.Errorf("write %d again changed something", i)
		}
	}
}

func TestLostLinksComeBack(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1"})
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if write(t, dir, map[string]string{"a": "1"}) {
		t.Error("equal content was written")
	}
	if got := visible(t, dir); got["a"] != "1" {
		t.Error(got)
	}
}

func TestModesPassTheUmask(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(dir, map[string]File{"a": {Mode: 0o777}, "b": {Mode: 0o400}}, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"a": 0o777, "b": 0o400} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestFailureLeavesTheOldContent(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{"a": "1"}
	write(t, dir, want)
	bad := errors.New("no such owner")
	if _, err := Write(dir, map[string]File{"a": {Data: []byte("2")}}, func() error { return bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
	// A name that is a file and a directory cannot be written.
	if _, err := Write(dir, map[string]File{"b": {}, "b/c": {}}, nil); err == nil {
		t.Error("b and b/c were both written")
	}
	if got := visible(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := len(stamped(t, dir)); n != 1 {
		t.Errorf("%d directories of content are left", n)
	}
}

func stamped(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if isStamped(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// What a process leaves that is killed between two steps.
func TestRepairsAfterACrash(t *testing.T) {
	for name, breakIt := range map[string]func(dir, now string) error{
		"content half-written": func(dir, _ string) error {
			return os.MkdirAll(filepath.Join(dir, "..2026_01_02_03_04_05.1/x"), 0o755)
		},
		"link not renamed": func(dir, _ string) error {
			return os.Symlink("..2026_01_02_03_04_05.1", filepath.Join(dir, tempLink))
		},
		"content lost":      func(dir, now string) error { return os.RemoveAll(filepath.Join(dir, now)) },
		"link lost":         func(dir, _ string) error { return os.Remove(filepath.Join(dir, dataLink)) },
		"visible name lost": func(dir, _ string) error { return os.Remove(filepath.Join(dir, "a")) },
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"a": "1", "gone": "x"})
		if err := breakIt(dir, stamped(t, dir)[0]); err != nil {
			t.Fatal(err)
		}
		write(t, dir, map[string]string{"a": "2"})
		if b, err := os.ReadFile(filepath.Join(dir, "a")); string(b) != "2" {
			t.Errorf("%s: a is %q, %v", name, b, err)
		}
		if n := len(stamped(t, dir)); n != 1 {
			t.Errorf("%s: %d directories of content are left", name, n)
		}
		if _, err := os.Lstat(filepath.Join(dir, tempLink)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the temporary link is left", name)
		}
	}
}

// A link that a container planted must not make Write delete what it leads to.
func TestForeignLinkIsNotFollowed(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	precious := filepath.Join(other, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{other, "../" + filepath.Base(other), "."} {
		_ = os.Remove(filepath.Join(dir, dataLink))
		if err := os.Symlink(target, filepath.Join(dir, dataLink)); err != nil {
			t.Fatal(err)
		}
		write(t, dir, map[string]string{"a": "1"})
		write(t, dir, map[string]string{"b": target})
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("a", "b/c", "one")
	f.Add("..data", "..data_tmp", "x")
	f.Add("a/../../b", "./a/./b", "")
	f.Add("..2026_01_02_03_04_05.1", "a//b", "\x00")
	f.Fuzz(func(t *testing.T, p, q, data string) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "volume")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string]File{p: {Data: []byte(data), Mode: 0o644}, q: {Data: []byte(data), Mode: 0o600}}
		if _, err := Write(dir, files, nil); err == nil {
			for name, f := range files {
				if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != string(f.Data) && filepath.Clean(p) != filepath.Clean(q) {
					t.Errorf("%q: %q, %v", name, b, err)
				}
			}
		}
		if list, _ := os.ReadDir(parent); len(list) != 1 {
			t.Errorf("it wrote outside its directory: %v", list)
		}
	})
}
