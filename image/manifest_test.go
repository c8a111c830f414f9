package image

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// manifestJSON is a good manifest that a case changes.
func manifestJSON(t testing.TB, edit func(m map[string]any)) []byte {
	desc := func(mediaType string) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": digest.FromString(mediaType), "size": 3}
	}
	m := map[string]any{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
		"config": desc(ocispec.MediaTypeImageConfig), "layers": []any{desc(ocispec.MediaTypeImageLayerGzip)},
	}
	edit(m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		mediaType string
		edit      func(m map[string]any)
		want      string // part of the error, "" for none
	}{
		"good":                  {ocispec.MediaTypeImageManifest, func(map[string]any) {}, ""},
		"no media type inside":  {ocispec.MediaTypeImageManifest, func(m map[string]any) { delete(m, "mediaType") }, ""},
		"unknown content type":  {"text/plain", func(map[string]any) {}, ""},
		"media types disagree":  {ocispec.MediaTypeImageIndex, func(map[string]any) {}, "it says it is"},
		"index and manifest":    {ocispec.MediaTypeImageManifest, func(m map[string]any) { m["manifests"] = []any{} }, "both an index and a manifest"},
		"schema 1":              {"", func(m map[string]any) { m["schemaVersion"] = 1 }, "schema 1"},
		"schema 1 by its type":  {remote.DockerSchema1, func(m map[string]any) { delete(m, "mediaType") }, "schema 1"},
		"schema 1 by its field": {"", func(m map[string]any) { m["fsLayers"] = []any{} }, "schema 1"},
		"schema 3":              {"", func(m map[string]any) { m["schemaVersion"] = 3 }, "schemaVersion 3"},
		"no config":             {"", func(m map[string]any) { delete(m, "config") }, "no config"},
		"artifact": {"", func(m map[string]any) {
			m["artifactType"] = "a/b"
			m["config"].(map[string]any)["mediaType"] = ocispec.MediaTypeEmptyJSON
		}, `artifact of type "a/b"`},
		"bad digest":      {"", func(m map[string]any) { m["config"].(map[string]any)["digest"] = "sha256:../../etc" }, "blob"},
		"negative size":   {"", func(m map[string]any) { m["config"].(map[string]any)["size"] = -1 }, "size -1"},
		"too many layers": {"", func(m map[string]any) { m["layers"] = make([]map[string]any, 501) }, "501 layers"},
		"empty index":     {"", func(m map[string]any) { delete(m, "config"); delete(m, "layers"); m["manifests"] = []any{} }, "empty index"},
	} {
		_, err := decode(c.mediaType, manifestJSON(t, c.edit))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestChainIDs(t *testing.T) {
	// The example of the OCI image specification: each is the digest of the
	// chain below, a space, and the layer.
	a, b := digest.FromString("a"), digest.FromString("b")
	got := chainIDs([]digest.Digest{a, b})
	if len(got) != 2 || got[0] != a || got[1] != digest.FromString(a.String()+" "+b.String()) {
		t.Error(got)
	}
}

func TestChoose(t *testing.T) {
	index := func(names ...string) (ds []ocispec.Descriptor) {
		for _, n := range names {
			d := ocispec.Descriptor{MediaType: n}
			if n != "none" {
				p := strings.Split(n+"//", "/")
				d.Platform = &ocispec.Platform{OS: p[0], Architecture: p[1], Variant: p[2]}
			}
			ds = append(ds, d)
		}
		return ds
	}
	for _, c := range []struct{ host, index, want string }{
		{"linux/amd64", "linux/arm64 linux/amd64", "linux/amd64"},
		{"linux/amd64", "linux/amd64/v3 linux/amd64", "linux/amd64"},
		{"linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v2"},
		{"linux/arm/v7", "linux/arm/v6 linux/arm/v5 linux/arm/v8", "linux/arm/v6"},
		{"linux/arm/v7", "linux/arm/v6 linux/arm/v7", "linux/arm/v7"},
		{"linux/arm/v6", "linux/arm", "!"},
		{"linux/arm64", "linux/arm64/v8", "linux/arm64/v8"},
		{"linux/arm64/v8", "linux/arm64", "linux/arm64"},
		{"linux/amd64", "windows/amd64 linux/s390x", "!"},
		{"linux/amd64", "unknown/unknown none", "none"},
		{"linux/amd64", "unknown/unknown", "!"},
		{"linux/amd64", "linux/aarch64 linux/x86_64", "linux/x86_64"},
	} {
		p := strings.Split(c.host+"//", "/")
		got, err := choose(ocispec.Platform{OS: p[0], Architecture: p[1], Variant: p[2]}, index(strings.Fields(c.index)...))
		if err != nil {
			got.MediaType = "!"
		}
		if got.MediaType != c.want {
			t.Errorf("%s of %s: %s, want %s", c.host, c.index, got.MediaType, c.want)
		}
	}
	if p := thisPlatform(); p.OS != runtime.GOOS || fits(p, p) == 0 {
		t.Errorf("this platform is %+v", p)
	}
}

func TestEscape(t *testing.T) {
	dirs := []string{"/a", "/b:c", `/d\e`, "/f,g", `/h\:i`}
	var list []string
	for _, d := range dirs {
		list = append(list, escape(d))
	}
	if got := splitLowers(strings.Join(list, ":")); strings.Join(got, "|") != strings.Join(dirs, "|") {
		t.Errorf("%q", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(ocispec.MediaTypeImageManifest, manifestJSON(f, func(map[string]any) {}))
	f.Add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:00","size":1}]}`))
	f.Add("", []byte(`{"config":null}`))
	f.Fuzz(func(t *testing.T, mediaType string, b []byte) {
		d, err := decode(mediaType, b)
		if err != nil {
			return
		}
		for _, x := range append(append([]ocispec.Descriptor{}, d.Layers...), d.Manifests...) {
			if x.Digest.Validate() != nil || x.Size < 0 {
				t.Fatalf("a bad descriptor passed: %+v", x)
			}
		}
		if d.index() {
			_, _ = choose(thisPlatform(), d.Manifests)
		} else if d.Config == nil {
			t.Fatal("no config")
		}
		_, _ = decodeConfig(b, len(d.Layers))
	})
}
