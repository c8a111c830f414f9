package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// asKubelet is what the kubelet 1.37 makes of a pod's image name, by the library
// that it uses: the name that the runtime is given, or the message of
// InvalidImageName.
func asKubelet(name string) (given, message string) {
	n, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", name, name, err)
	}
	if reference.IsNameOnly(n) {
		return name + ":latest", ""
	}
	return name, ""
}

// judge holds a name against the kubelet, and against containerd, which is given
// what the kubelet made of it.
func judge(t *testing.T, name string) (valid bool) {
	t.Helper()
	want, message := asKubelet(name)
	got, err := WithDefaultTag(name)
	r, perr := Parse(name)
	if message != "" {
		var ne *NameError
		if err == nil || InvalidNameMessage(name, err) != message || !errors.As(perr, &ne) || ne.Reason() != "InvalidImageName" {
			t.Errorf("%q: %v, %v; want %s", name, err, perr, message)
		}
		return false
	}
	if err != nil || perr != nil || got != want {
		t.Errorf("%q: %q, %v, %v; want %q", name, got, err, perr, want)
		return true
	}
	n, err := reference.ParseNormalizedNamed(name)
	if err != nil || reference.TagNameOnly(n).String() != r.String() || n.Name() != r.Name() || r.Path == "" || reference.Domain(n) != r.Domain && reference.Domain(n) != "" {
		t.Errorf("%q: %+v, want %v", name, r, n)
	}
	pulled, err := reference.ParseDockerRef(want) // containerd's: a digest takes the tag away
	ours := r.Tagged()
	if r.Digest != "" {
		ours = r.Digested(r.Digest)
	}
	if err != nil || pulled.String() != ours {
		t.Errorf("%q: pulled is %q, want %v (%v)", name, ours, pulled, err)
	}
	for _, again := range []string{r.String(), want} {
		if r2, err := Parse(again); r2 != r || err != nil {
			t.Errorf("%q: %q is %+v, %v; not %+v", name, again, r2, err, r)
		}
	}
	return true
}

var hexOf = strings.NewReplacer("H", strings.Repeat("0123456789abcdef", 2), "Z", strings.Repeat("A", 32))

// names are written by hand; H is 32 hexadecimal digits, Z as many in capitals.
var names = []string{
	"", " ", "a", "A", "a b", "a:", "a:b:c", ":a", "a@", "@a", "a/", "/a", "//", "a//b", "a/b/", "-a", "a-", "a--b", "a__b", "a___b", "a.-b",
	"a..b", "_a", "a_", "é", "a:é", "a\n", "a:\x00", "docker.io", "docker.io/a", "docker.io/library/a", "index.docker.io/a", "Docker.io/a",
	"docker.io/a/b/c", "library/a", "localhost/a", "localhost", "LOCALHOST/a", "localhost:5000", "localhost:5000/a", "a.b/c", "a:1/c", "A/b", "A.b/C",
	"a.b:/c", "a.b:99999999/c", "a.b:x/c", "[::1]/a", "[::1]:5000/a", "[::1", "[fe80::1%25eth0]/a", "[::G]/a", "::1/a", "1.2.3.4/a", "1.2.3.4:5/a",
	"http://a.b/c", "https://a", "a.b/c?d", "a#b", "user@a.b/c", "user:pass@a.b/c", "..", "../a", "./a", "a/../b", "~a", "$(a)", "a%20b",
	"a:latest", "a:LATEST", "a:.b", "a:-b", "a:_b", "a:b.c-d_e", "a:latest/b", "x:latest:latest", "latest", "a.b:latest", "a.b/latest:latest",
	"HH", "HHa", "a/HH", "HH:t", "sha256:HH", "a@sha256:HH", "a:t@sha256:HH", "a@sha256:H", "a@sha256:ZZ", "a@sha256:HHH", "a@sha512:HHHH", "a@sha384:HHH",
	"a@md5:H", "a@sha256+b:HH", "a@sha256:HH:t", "a@sha256:HH@sha256:HH", "@sha256:HH", "a:latest@sha256:HH", "a@SHA256:HH",
	"a:" + strings.Repeat("t", 128), "a:" + strings.Repeat("t", 129), strings.Repeat("a", 255), strings.Repeat("a", 256),
	"b.c/" + strings.Repeat("a", 255), "b.c/" + strings.Repeat("a", 256), strings.Repeat("b", 300) + ".c/a",
}

func TestNamesAsKubelet(t *testing.T) {
	valid := 0
	for _, name := range names {
		if judge(t, hexOf.Replace(name)) {
			valid++
		}
	}
	if valid < len(names)/4 || valid > len(names)*3/4 {
		t.Errorf("%d of %d are valid", valid, len(names))
	}
}

// Names whose parts the library does not tell, or only where more is linked.
func TestParts(t *testing.T) {
	for name, want := range map[string]Reference{
		"a_b.c/d/e":                          {Domain: "a_b.c", Path: "d/e", Tag: "latest"},
		hexOf.Replace("a.b/c:d@sha512:HHHH"): {Domain: "a.b", Path: "c", Tag: "d", Digest: hexOf.Replace("sha512:HHHH")},
		hexOf.Replace("a@sha384:HHH"):        {Domain: "docker.io", Path: "library/a", Digest: hexOf.Replace("sha384:HHH")},
	} {
		if got, err := Parse(name); got != want || err != nil {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

func TestRandomNamesAsKubelet(t *testing.T) {
	parts := []string{"a", "b9", "A", ".", "..", "-", "_", "__", "/", ":", "@", "[", "]", "localhost", "docker.io", "index.docker.io", "library", "latest",
		":5000", "sha256:", "sha512:", "H", "HH", "HHHH", "é", " ", "@sha256:HH", ":latest", "a.b/", "[::1]", "a/", "%"}
	valid := 0
	for seed := range uint64(5_000) {
		r := rand.New(rand.NewPCG(seed, 0))
		var name string
		for range 1 + r.IntN(6) {
			name += parts[r.IntN(len(parts))]
		}
		if judge(t, hexOf.Replace(name)) {
			valid++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if valid < 300 {
		t.Errorf("%d are valid", valid)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range names {
		f.Add(hexOf.Replace(name))
	}
	f.Fuzz(func(t *testing.T, name string) { judge(t, name) })
}
