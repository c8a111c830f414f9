package credentials

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

func users(auths []Auth) string {
	var s []string
	for _, a := range auths {
		s = append(s, a.Username)
	}
	return strings.Join(s, " ")
}

// The name of each entry is its user, so that a case says which entries fit.
func ring(names ...string) *Keyring {
	k := &Keyring{}
	for _, n := range names {
		k.Add(Config{n: {Username: n}})
	}
	return k
}

func TestLookup(t *testing.T) {
	for name, c := range map[string]struct {
		entries []string
		image   string
		want    string
	}{
		"host":                        {[]string{"a.io"}, "a.io/x", "a.io"},
		"another host":                {[]string{"a.io"}, "b.io/x", ""},
		"with scheme and version":     {[]string{"https://a.io/v1/"}, "a.io/x", "https://a.io/v1/"},
		"version 2 with a path":       {[]string{"a.io/v2/team"}, "a.io/team/x", "a.io/v2/team"},
		"longest path first":          {[]string{"a.io", "a.io/t", "a.io/t/u"}, "a.io/t/u/x", "a.io/t/u a.io/t a.io"},
		"path does not match":         {[]string{"a.io/t"}, "a.io/u/x", ""},
		"path is a prefix of letters": {[]string{"a.io/t"}, "a.io/team/x", "a.io/t"},
		"glob":                        {[]string{"*.a.io"}, "x.a.io/y", "*.a.io"},
		"glob of one label":           {[]string{"*.a.io"}, "x.y.a.io/z", ""},
		"glob in a label":             {[]string{"pre*.a.io"}, "prefix.a.io/z", "pre*.a.io"},
		"glob not in the path":        {[]string{"a.io/*"}, "a.io/x", ""},
		"port":                        {[]string{"a.io:5000"}, "a.io:5000/x", "a.io:5000"},
		"port differs":                {[]string{"a.io:5000"}, "a.io/x", ""},
		"port of glob":                {[]string{"*.a.io:5000"}, "x.a.io:5000/x", "*.a.io:5000"},
		"hub by its old name":         {[]string{"https://index.docker.io/v1/"}, "docker.io/library/busybox", "https://index.docker.io/v1/"},
		"hub by no name":              {[]string{"index.docker.io"}, "library/busybox", "index.docker.io"},
		"hub by its name":             {[]string{"docker.io"}, "docker.io/library/busybox", "docker.io"},
		"hub for another host":        {[]string{"index.docker.io"}, "a.io/busybox", ""},
		"a bad entry is left out":     {[]string{"a.io:x y", "a.io"}, "a.io/x", "a.io"},
		"nothing":                     {nil, "a.io/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := users(ring(c.entries...).Lookup(c.image)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSeveralForOneRegistry(t *testing.T) {
	k := &Keyring{}
	k.Add(Config{"a.io": {Username: "old"}})
	k.Add(Config{"a.io": {Username: "new"}})
	if got := users(Lookup("a.io/x", k, nil, ring("a.io"))); got != "old new a.io" {
		t.Errorf("got %q", got)
	}
}

// The order is that of Add, whatever the source; who added them is told.
func TestFrom(t *testing.T) {
	k, c := &Keyring{}, Config{"a.io": {Username: "u", Email: "e"}}
	k.AddFrom("first", c)
	k.AddFrom("second", Config{"a.io/t": {Username: "v"}})
	k.Add(c)
	want := []Auth{{Username: "v", From: "second"}, {Username: "u", Email: "e", From: "first"}, {Username: "u", Email: "e"}}
	if got := k.Lookup("a.io/t/x"); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if c["a.io"].From != "" {
		t.Error("the caller's own were written to")
	}
}

// Hashes as the kubelet computes them of the same credentials.
func TestHash(t *testing.T) {
	for want, a := range map[string]Auth{
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a": {},                                                              // {}
		"f7829da0a1b07447f52f752d665b82607f69170bace6f139ad6dd29fa6bccdb0": {Username: "user", Password: "p<ss", Email: "e@x", From: "any"}, // {"username":"user","password":"p\u003css","email":"e@x"}
		"2a24ce227b0a3581f8d1ee6a286513d77c2bcdc4f2eec3f3ebdb4a8d01872567": {IdentityToken: "t"},                                            // {"identitytoken":"t"}
	} {
		if got := a.Hash(); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte("user:pa:ss"))
	want := Auth{Username: "user", Password: "pa:ss"}
	for name, b := range map[string]string{
		"user and password": `{"auths":{"a.io":{"username":"user","password":"pa:ss"}}}`,
		"auth":              `{"auths":{"a.io":{"auth":"` + b64 + `"}}}`,
		"auth wins":         `{"auths":{"a.io":{"username":"x","password":"y","auth":"` + b64 + `"}}}`,
		"auth unpadded":     `{"auths":{"a.io":{"auth":"` + strings.TrimRight(b64, "=") + `"}}}`,
		"with other fields": `{"auths":{"a.io":{"auth":"` + b64 + `","email":"e"}},"credsStore":"x"}`,
	} {
		want := want
		if strings.Contains(b, "email") {
			want.Email = "e"
		}
		c, err := ParseConfigJSON([]byte(b))
		if err != nil || c["a.io"] != want {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	c, err := ParseConfig([]byte(`{"a.io":{"auth":"` + b64 + `"}}`))
	if err != nil || !slices.Equal(ringOf(c).Lookup("a.io/x"), []Auth{want}) {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{"", "[", `{"auths":{"a.io":{"auth":"secret!"}}}`, `{"auths":{"a.io":{"auth":"c2VjcmV0"}}}`, `{"auths":"secret"}`} {
		if _, err := ParseConfigJSON([]byte(bad)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func ringOf(c Config) *Keyring {
	k := &Keyring{}
	k.Add(c)
	return k
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"auths":{"a.io":{"auth":"dTpw"}}}`), "a.io/x")
	f.Fuzz(func(t *testing.T, b []byte, image string) {
		if c, err := ParseConfigJSON(b); err == nil {
			ringOf(c).Lookup(image)
		}
		if c, err := ParseConfig(b); err == nil {
			ringOf(c).Lookup(image)
		}
	})
}
