package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifepod/lifepod/image/credentials"
)

const v1 = "credentialprovider.kubelet.k8s.io/v1"

// good is a provider that tables start from.
func good() Provider {
	return Provider{Name: "p", MatchImages: []string{"*.a.io", "b.io/team"}, DefaultCacheDuration: &Duration{10 * time.Minute}, APIVersion: v1}
}

func TestValidate(t *testing.T) {
	if err := validate([]Provider{good()}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Provider)
		want   string
	}{
		"slash":     {func(p *Provider) { p.Name = "a/b" }, `providers.name: Invalid value: "a/b": provider name cannot contain '/'`},
		"space":     {func(p *Provider) { p.Name = "a b" }, `providers.name: Invalid value: "a b": provider name cannot contain spaces`},
		"dot":       {func(p *Provider) { p.Name = "." }, `providers.name: Invalid value: ".": provider name cannot be '.'`},
		"dots":      {func(p *Provider) { p.Name = ".." }, `providers.name: Invalid value: "..": provider name cannot be '..'`},
		"no name":   {func(p *Provider) { p.Name = "" }, "providers.name: Required value"},
		"version":   {func(p *Provider) { p.APIVersion = "v1" }, `providers.apiVersion: Unsupported value: "v1"`},
		"none":      {func(p *Provider) { p.APIVersion = "" }, "providers.apiVersion: Required value"},
		"no images": {func(p *Provider) { p.MatchImages = nil }, "providers.matchImages: Required value: at least 1 item in matchImages is required"},
		"bad image": {func(p *Provider) { p.MatchImages = []string{"%zz"} }, `providers.matchImages: Invalid value: "%zz": match image is invalid`},
		"no age":    {func(p *Provider) { p.DefaultCacheDuration = nil }, "providers.defaultCacheDuration: Required value"},
		"below 0":   {func(p *Provider) { p.DefaultCacheDuration.Duration = -1 }, "must be greater than or equal to 0"},
	} {
		p := good()
		c.change(&p)
		if err := validate([]Provider{p}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := validate([]Provider{good(), good()}); err == nil || !strings.Contains(err.Error(), `providers.name: Duplicate value: "p"`) {
		t.Errorf("twice: %v", err)
	}
	if err := validate(nil); err == nil {
		t.Error("no provider at all")
	}
}

const head = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n"

func TestParse(t *testing.T) {
	list, err := Parse([]byte(head + "providers:\n- name: p\n  matchImages: ['*.a.io']\n  defaultCacheDuration: 1h30m\n  apiVersion: " + v1 +
		"\n  args: [get]\n  env: [{name: A, value: b}]\n"))
	if err != nil || len(list) != 1 || list[0].DefaultCacheDuration.Duration != 90*time.Minute || list[0].Env[0] != (EnvVar{"A", "b"}) || list[0].Args[0] != "get" {
		t.Errorf("%+v, %v", list, err)
	}
	one := "providers:\n- {name: p, matchImages: [a], apiVersion: " + v1 + ", defaultCacheDuration: %s}"
	for text, want := range map[string]string{
		"kind: X\napiVersion: v1":                                          `kind "X" is not`,
		"kind: CredentialProviderConfig\napiVersion: v1":                   `apiVersion "v1" is none of`,
		head + fmt.Sprintf(one, "soon"):                                    `duration "soon"`,
		head + fmt.Sprintf(one, "5"):                                       "a duration is written",
		head + fmt.Sprintf(one, "1m, unknown: 1"):                          `unknown field "providers[0].unknown"`,
		head + fmt.Sprintf(one, "1m, tokenAttributes: {cacheType: Token}"): "providers.tokenAttributes: Forbidden",
		head + "providers: [a: b":                                          "yaml",
		head + "providers: canary":                                         "cannot unmarshal",
		head + "kind: twice":                                               "already set",
		head:                                                               "at least 1 item",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestParseResponse(t *testing.T) {
	ok := `{"kind":"CredentialProviderResponse","apiVersion":"` + v1 + `","cacheKeyType":"Image","cacheDuration":"5m0s","auth":{"a.io":{"username":"u","password":"p"}}}`
	r, err := parseResponse([]byte(ok), v1)
	if err != nil || r.Auth["a.io"].Password != "p" || r.CacheDuration.Duration != 5*time.Minute {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, change := range []string{
		`"kind":"CredentialProviderResponse"|"kind":"canary"`, v1 + "|canary/v1", `"u"|7`, `{"kind"|canary`, `"auth"|"canary"`,
		`"username"|"Username"`, `"5m0s"|"canary"`, `"auth":|"kind":"canary","auth":`, `5m0s|5m0s","cacheDuration":"canary`,
	} {
		from, to, _ := strings.Cut(change, "|")
		_, err := parseResponse([]byte(strings.Replace(ok, from, to, 1)), v1)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// asked is a provider whose program is a function, and the images it was asked.
func asked(answer response, change func(*Provider)) (*Providers, *[]string) {
	p := good()
	if change != nil {
		change(&p)
	}
	var seen []string
	one := &provider{Provider: p, kept: map[string]kept{}, purged: time.Now(), flights: map[string]*flight{}}
	one.exec = func(_ context.Context, image string) (response, error) {
		seen = append(seen, image)
		return answer, nil
	}
	return &Providers{all: []*provider{one}}, &seen
}

func answers(keyType string, age *Duration) response {
	return response{CacheKeyType: keyType, CacheDuration: age, Auth: map[string]authConfig{"*.a.io": {"u", "p"}}}
}

// What is asked again, and when: the kubelet's rules.
func TestKept(t *testing.T) {
	minute := &Duration{time.Minute}
	for name, c := range map[string]struct {
		answer  response
		dflt    time.Duration
		lookups []string // an image, or a pause
		want    string   // the images that the program was asked about
	}{
		"by image":              {answers("Image", minute), 0, []string{"x.a.io/1", "x.a.io/1", "x.a.io/2"}, "x.a.io/1 x.a.io/2"},
		"by registry":           {answers("Registry", minute), 0, []string{"x.a.io/1", "x.a.io/2", "y.a.io/1"}, "x.a.io/1 y.a.io/1"},
		"by registry with port": {answers("Registry", minute), 0, []string{"b.io/team/1", "b.io/team/2"}, "b.io/team/1"},
		"for all":               {answers("Global", minute), 0, []string{"x.a.io/1", "y.a.io/2"}, "x.a.io/1"},
		"until it expires":      {answers("Image", minute), 0, []string{"x.a.io/1", "1m", "x.a.io/1", "1ns", "x.a.io/1"}, "x.a.io/1 x.a.io/1"},
		"not at all":            {answers("Image", &Duration{}), time.Hour, []string{"x.a.io/1", "x.a.io/1"}, "x.a.io/1 x.a.io/1"},
		"by default":            {answers("Image", nil), time.Hour, []string{"x.a.io/1", "1h", "x.a.io/1", "1ns", "x.a.io/1"}, "x.a.io/1 x.a.io/1"},
		"by default not at all": {answers("Image", nil), 0, []string{"x.a.io/1", "x.a.io/1"}, "x.a.io/1 x.a.io/1"},
		"no match":              {answers("Image", minute), 0, []string{"a.io/1", "x.y.a.io/1", "b.io/1", "x.a.io:5000/1"}, ""},
		"past a purge":          {answers("Image", &Duration{20 * time.Minute}), 0, []string{"x.a.io/1", "16m", "x.a.io/1", "16m", "x.a.io/1"}, "x.a.io/1 x.a.io/1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ps, seen := asked(c.answer, func(p *Provider) { p.DefaultCacheDuration.Duration = c.dflt })
			for _, l := range c.lookups {
				if d, err := time.ParseDuration(l); err == nil {
					time.Sleep(d)
					continue
				}
				found, err := ps.Lookup(t.Context(), l)
				want := 0
				if credentials.Match("*.a.io", l) {
					want = 1
				}
				if err != nil || len(found) != want {
					t.Errorf("%s: %s: %v, %v", name, l, found, err)
				}
			}
			if got := strings.Join(*seen, " "); got != c.want {
				t.Errorf("%s: asked %q, want %q", name, got, c.want)
			}
		})
	}
	ps, _ := asked(answers("canary", nil), nil)
	if _, err := ps.Lookup(t.Context(), "x.a.io/1"); err == nil || !strings.Contains(err.Error(), "valid cacheKeyType") || strings.Contains(err.Error(), "canary") {
		t.Errorf("another cacheKeyType: %v", err)
	}
}

// Who asks for one image at once shares one run; when the one that runs it goes
// away, another takes over.
func TestOneRunForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps, _ := asked(response{}, nil)
		runs := 0
		ps.all[0].exec = func(ctx context.Context, _ string) (response, error) {
			runs++
			select {
			case <-time.After(time.Second):
				return answers("Image", &Duration{}), nil
			case <-ctx.Done():
				return response{}, ctx.Err()
			}
		}
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := ps.Lookup(first, "x.a.io/1"); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			wg.Go(func() {
				if found, err := ps.Lookup(t.Context(), "x.a.io/1"); err != nil || len(found) != 1 {
					t.Errorf("%v, %v", found, err)
				}
			})
		}
		synctest.Wait()
		leave()
		wg.Wait()
		if runs != 2 {
			t.Errorf("%d runs, want 2", runs)
		}
	})
}

func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
}

// Real programs: what they are told, the order of their answers, and hostile ones.
func TestPrograms(t *testing.T) {
	bin, conf := t.TempDir(), t.TempDir()
	answer := `echo '{"kind":"CredentialProviderResponse","apiVersion":"` + v1 + `","cacheKeyType":"Image","auth":{"a.io":{"username":"'"$1 $MORE"'","password":"p"}}}'`
	script(t, bin, "good", `read r; [ "$r" = '{"apiVersion":"`+v1+`","image":"a.io/x","kind":"CredentialProviderRequest"}' ] || exit 9; `+answer)
	script(t, bin, "second", answer)
	script(t, bin, "wrong-kind", `echo '{"kind":"canary","apiVersion":"`+v1+`"}'`)
	script(t, bin, "wrong-version", `echo '{"kind":"CredentialProviderResponse","apiVersion":"canary"}'`)
	script(t, bin, "endless", "yes canary")
	script(t, bin, "fails", `echo canary; echo "token $MORE expired" >&2; exit 4`)
	text := head + "providers:\n"
	for _, name := range []string{"fails", "good", "wrong-kind", "second", "wrong-version", "endless"} {
		text += "- {name: " + name + ", matchImages: [a.io], defaultCacheDuration: 0s, apiVersion: " + v1 + ", args: [" + name + "], env: [{name: MORE, value: more}]}\n"
	}
	if err := os.WriteFile(filepath.Join(conf, "1.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ps, err := Load(conf, bin)
	if err != nil {
		t.Fatal(err)
	}
	found, err := ps.Lookup(t.Context(), "a.io/x")
	if fmt.Sprint(found) != "[user good more user second more]" {
		t.Errorf("found %v", found)
	}
	for _, want := range []string{
		"credential provider fails for image a.io/x: fails: exit status 4: token REDACTED expired", "wrong-kind for image a.io/x: error decoding",
		"wrong-version for image a.io/x: apiVersion from credential plugin response did not match", "writes more than 1 MiB",
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	missing := good()
	missing.Name = "missing"
	if _, err := New([]Provider{missing}, bin); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	if _, err := Load(t.TempDir(), bin); err == nil || !strings.Contains(err.Error(), "no configuration files") {
		t.Errorf("an empty directory: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(head + "providers:\n- {name: p, matchImages: ['*.a.io'], defaultCacheDuration: 1h, apiVersion: " + v1 + "}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Parse(b)
		for _, p := range list {
			if err == nil && (p.Name == "" || strings.ContainsAny(p.Name, "/ ") || p.DefaultCacheDuration == nil || len(p.MatchImages) == 0) {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"kind":"CredentialProviderResponse","apiVersion":"` + v1 + `","cacheKeyType":"Image","cacheDuration":"5m","auth":{"a.io":{"username":"u","password":"p"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseResponse(b, v1)
		if err != nil {
			return
		}
		ps, _ := asked(r, nil)
		_, _ = ps.Lookup(t.Context(), "x.a.io/y")
	})
}
