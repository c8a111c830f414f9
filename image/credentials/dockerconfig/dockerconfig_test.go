package dockerconfig

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifepod/lifepod/image/credentials"
)

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // helpers are executed
		t.Fatal(err)
	}
	return path
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// The names of the entries are their users, so that a case says which one won.
func TestOwn(t *testing.T) {
	for name, c := range map[string]struct {
		entries    []string
		repository string
		want       string
	}{
		"host":                 {[]string{"a.io"}, "a.io/x", "a.io"},
		"another host":         {[]string{"a.io"}, "b.io/x", ""},
		"port":                 {[]string{"a.io", "a.io:5000"}, "a.io:5000/x", "a.io:5000"},
		"longest":              {[]string{"a.io", "a.io/t", "a.io/t/x"}, "a.io/t/x", "a.io/t/x"},
		"a part":               {[]string{"a.io", "a.io/t"}, "a.io/t/y", "a.io/t"},
		"whole names":          {[]string{"a.io/te"}, "a.io/team/x", ""},
		"by URL":               {[]string{"https://a.io/v1/"}, "a.io/x", "https://a.io/v1/"},
		"by name before URL":   {[]string{"https://a.io/v1/", "a.io"}, "a.io/x", "a.io"},
		"two URLs":             {[]string{"https://a.io/v2/", "https://a.io/v1/"}, "a.io/x", "https://a.io/v1/"},
		"hub":                  {[]string{"https://index.docker.io/v1/"}, "docker.io/library/x", "https://index.docker.io/v1/"},
		"hub by its name":      {[]string{"docker.io", "https://index.docker.io/v1/"}, "docker.io/library/x", "docker.io"},
		"hub for another host": {[]string{"https://index.docker.io/v1/"}, "a.io/x", ""},
	} {
		f := &File{Auths: map[string]credentials.Auth{}}
		for _, e := range c.entries {
			f.Auths[e] = credentials.Auth{Username: e}
		}
		found, err := f.Lookup(t.Context(), c.repository)
		got := ""
		if len(found) > 0 {
			got = found[0].Username
		}
		if err != nil || got != c.want || len(found) > 1 {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	f, err := Parse([]byte(`{"auths":{"a":{"auth":"` + b64("u:p:w\x00") + `"},"b":{"username":"u","password":"p"},"c":{},
		"d":{"auth":"` + b64("u:") + `","identitytoken":"i"},"e":{"registrytoken":"r"}},
		"credsStore":"store","credHelpers":{"x":"help-er.1"},"HttpHeaders":{},"proxies":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]credentials.Auth{
		"a": {Username: "u", Password: "p:w"}, "b": {Username: "u", Password: "p"},
		"d": {Username: "u", IdentityToken: "i"}, "e": {RegistryToken: "r"},
	}
	for name, a := range want {
		if f.Auths[name] != a {
			t.Errorf("%s: %s", name, f.Auths[name])
		}
	}
	if len(f.Auths) != len(want) || f.Store != "store" || f.Helpers["x"] != "help-er.1" {
		t.Errorf("%v", f)
	}
	for bad, text := range map[string]string{
		`canary`: "not the JSON", `{"auths":"canary"}`: "not the JSON", `{"auths":{"a":{"auth":"canary!"}}}`: "credentials of a: auth is not base64",
		`{"auths":{"a":{"auth":"` + b64("canary") + `"}}}`: "credentials of a: unable to parse auth field",
		`{"credsStore":"../x"}`:                            `helper "../x"`, `{"credHelpers":{"a":"x y"}}`: `helper "x y"`,
	} {
		if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Helpers are asked as docker asks them; a hostile one is an error that holds
// nothing of its answer.
func TestHelpers(t *testing.T) {
	bin := t.TempDir()
	for name, text := range map[string]string{
		"echo":     `[ "$1" = get ] && read s && printf '{"ServerURL":"%s","Username":"user of %s","Secret":"word"}' "$s" "$s"`,
		"token":    `echo '{"Username":"<token>","Secret":"word"}'`,
		"unknown":  `echo "credentials not found in native keychain"; exit 1`,
		"empty":    `echo '{}'`,
		"broken":   `echo "canary"; exit 1`,
		"loud":     `echo '{"Secret":"canary"'; echo "locked" >&2; exit 2`,
		"not-json": `echo canary`,
		"endless":  `yes canary`,
	} {
		put(t, filepath.Join(bin, "docker-credential-"+name), "#!/bin/sh\n"+text+"\n")
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, c := range []struct{ store, helper, repository, want, err string }{
		{"echo", "", "a.io/x", "user of a.io", ""},
		{"echo", "", "a.io:5000/x", "user of a.io:5000", ""},
		{"echo", "", "docker.io/library/x", "user of https://index.docker.io/v1/", ""},
		{"broken", "echo", "own.io/x", "user of own.io", ""},
		{"echo", "broken", "a.io/x", "user of a.io", ""},
		{"token", "", "a.io/x", "identity token", ""},
		{"unknown", "", "a.io/x", "", ""},
		{"unknown", "", "file.io/x", "file", ""},
		{"empty", "", "a.io/x", "", ""},
		{"broken", "", "a.io/x", "", "docker-credential-broken: exit status 1"},
		{"broken", "", "file.io/x", "file", "docker-credential-broken: exit status 1"},
		{"loud", "", "a.io/x", "", "docker-credential-loud: exit status 2: locked"},
		{"not-json", "", "a.io/x", "", "docker-credential-not-json: its answer is not JSON"},
		{"endless", "", "a.io/x", "", "writes more than 1 MiB"},
		{"missing", "", "a.io/x", "", "executable file not found"},
	} {
		f := &File{Store: c.store, Helpers: map[string]string{"own.io": c.helper}, Auths: map[string]credentials.Auth{"file.io": {Username: "file"}}}
		found, err := f.Lookup(t.Context(), c.repository)
		got := ""
		for _, a := range found {
			got = a.Username
			if a.IdentityToken == "word" {
				got = "identity token"
			}
		}
		if got != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestPathsAndFiles(t *testing.T) {
	home := t.TempDir()
	for k, v := range map[string]string{"HOME": home, "REGISTRY_AUTH_FILE": "", "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "", "DOCKER_CONFIG": ""} {
		t.Setenv(k, v)
	}
	if got, want := Paths(), []string{home + "/.config/containers/auth.json", home + "/.docker/config.json"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	put(t, home+"/.config/containers/auth.json", `{"auths":{"a.io":{"auth":"`+b64("podman:1")+`"}}}`)
	put(t, home+"/.docker/config.json", `{"auths":{"a.io":{"auth":"`+b64("docker:2")+`"}}}`)
	found, err := Files(nil).Lookup(t.Context(), "a.io/x")
	if err != nil || len(found) != 2 || found[0].Username != "podman" || found[1].Password != "2" {
		t.Errorf("%s, %v", found, err)
	}
	put(t, home+"/.config/containers/auth.json", "{")
	found, err = Files(nil).Lookup(t.Context(), "a.io/x")
	if err == nil || !strings.Contains(err.Error(), "auth.json: not the JSON") || len(found) != 1 {
		t.Errorf("one broken file: %s, %v", found, err)
	}
	for k, v := range map[string]string{"REGISTRY_AUTH_FILE": "/r", "XDG_RUNTIME_DIR": "/run/1", "XDG_CONFIG_HOME": "/c", "DOCKER_CONFIG": "/d"} {
		t.Setenv(k, v)
	}
	if got, want := Paths(), []string{"/r", "/run/1/containers/auth.json", "/c/containers/auth.json", "/d/config.json"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	put(t, home+"/big", strings.Repeat(" ", maxFile+1))
	if _, err := Load(home + "/big"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a huge file: %v", err)
	}
}

// A kubelet reads the first config.json that it can, else the first .dockercfg,
// and keeps it for 5 min.
func TestNode(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		user := func(n *Node) string {
			found, err := n.Lookup(t.Context(), "x.a.io/y")
			s := fmt.Sprint(found)
			if err != nil {
				s += " but " + strings.NewReplacer(a, "A", b, "B").Replace(err.Error())
			}
			return s
		}
		expect := func(n *Node, want string) {
			t.Helper()
			if got := user(n); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		n := NewNode(a, b)
		expect(n, "[]")
		put(t, b+"/.dockercfg", `{"*.a.io":{"auth":"`+b64("old:1")+`"}}`)
		expect(n, "[]")
		time.Sleep(nodeAge + 1)
		expect(n, "[user old]")
		put(t, b+"/config.json", `{"auths":{"*.a.io":{"auth":"`+b64("new:1")+`"}}}`)
		time.Sleep(nodeAge)
		expect(n, "[user old]")
		time.Sleep(time.Nanosecond)
		expect(n, "[user new]")
		put(t, a+"/config.json", "canary")
		expect(NewNode(a, b), "[user new] but A/config.json: not the JSON of Docker credentials")
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"auths":{"a.io":{"auth":"dTpw"},"https://b/v1/":{"identitytoken":"x"}},"credHelpers":{"c":"d"}}`), "a.io/x")
	f.Fuzz(func(t *testing.T, b []byte, repository string) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		file.Store, file.Helpers = "", nil
		if found, err := file.Lookup(t.Context(), repository); err != nil || len(found) > 1 {
			t.Errorf("%d, %v", len(found), err)
		}
	})
}

func FuzzHelper(f *testing.F) {
	f.Add([]byte(`{"ServerURL":"a","Username":"<token>","Secret":"b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseHelper(b); err == nil && a != nil && a.Password == "" && a.IdentityToken == "" {
			t.Error("credentials of nothing")
		}
	})
}
