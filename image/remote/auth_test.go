package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

// repository opens a/b of a registry that serve started.
func repository(t *testing.T, host string, a remote.Auth) *remote.Repository {
	t.Helper()
	c := remote.New(quick)
	t.Cleanup(c.Close)
	return c.Repository(host, "a/b", a, false)
}

func TestAuthentication(t *testing.T) {
	user := remote.Auth{Username: "user", Password: "pass:word"}
	identity := remote.Auth{Username: "<token>", IdentityToken: "identity"}
	both := `Basic realm="x", Bearer realm="%s",service="a b",scope=%q`
	for name, c := range map[string]struct {
		fault imagetest.Fault
		auth  remote.Auth
		ok    bool
		text  string
	}{
		"nobody asks":           {imagetest.Times(0, nil), user, true, ""},
		"basic":                 {imagetest.Basic("user", "pass:word"), user, true, ""},
		"basic, wrong":          {imagetest.Basic("user", "other"), user, false, "UNAUTHORIZED: authentication required"},
		"basic, anonymous":      {imagetest.Basic("user", "pass:word"), remote.Auth{}, false, "UNAUTHORIZED"},
		"token":                 {imagetest.Token("user", "pass:word"), user, true, ""},
		"token, wrong":          {imagetest.Token("user", "other"), user, false, "get a token from"},
		"token, anonymous":      {imagetest.Token("", ""), remote.Auth{}, true, ""},
		"token, not anonymous":  {imagetest.Token("user", "pass:word"), remote.Auth{}, false, "wrong user or password"},
		"identity token":        {imagetest.Tokens{Identity: "identity"}.Fault(), identity, true, ""},
		"identity token, wrong": {imagetest.Tokens{Identity: "other"}.Fault(), identity, false, "get a token from"},
		"several challenges":    {imagetest.Tokens{User: "user", Password: "pass:word", Header: both}.Fault(), user, true, ""},
		"realm is no URL":       {imagetest.Tokens{Header: "Bearer realm=\"/token\",x=\"%s%s\""}.Fault(), user, false, "names no token server"},
		"realm in the clear":    {imagetest.Tokens{Header: "Bearer realm=\"http://auth.example/token\",x=\"%s%s\""}.Fault(), user, false, "plain http"},
		"no challenge":          {imagetest.Status(401), user, false, "401"},
		"unknown challenge":     {imagetest.Tokens{Header: "Digest realm=\"%s%s\""}.Fault(), user, false, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			reg, host, d, data := serve(t)
			reg.On("", c.fault)
			var got bytes.Buffer
			err := repository(t, host, c.auth).Blob(t.Context(), d, &got)
			if (err == nil) != c.ok || c.ok && !bytes.Equal(got.Bytes(), data) {
				t.Fatalf("%d bytes, %v", got.Len(), err)
			}
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %q in it", err, c.text)
			}
			if err != nil && strings.Contains(err.Error(), "pass:word") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// A registry token is sent as it is, and to nobody who does not ask.
func TestRegistryToken(t *testing.T) {
	reg, host, d, _ := serve(t)
	var seen []string
	reg.On("", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Header.Get("Authorization"))
			if seen[len(seen)-1] != "Bearer secret" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="x"`)
				imagetest.Deny(w, 401, "UNAUTHORIZED", "")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	if err := repository(t, host, remote.Auth{RegistryToken: "secret"}).Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(seen, []string{"", "Bearer secret"}) {
		t.Errorf("sent %q", seen)
	}
	err := repository(t, host, remote.Auth{RegistryToken: "wrong"}).Blob(t.Context(), d, &bytes.Buffer{})
	if !errors.Is(err, remote.ErrUnauthorized) || len(seen) != 4 {
		t.Errorf("%v after %q", err, seen)
	}
}

// One token serves many requests; a withdrawn one is replaced; each repository
// gets its own.
func TestTokensAreKept(t *testing.T) {
	reg, host, d, _ := serve(t)
	reg.On("", imagetest.Token("user", "word"))
	c := remote.New(quick)
	defer c.Close()
	auth := remote.Auth{Username: "user", Password: "word"}
	for _, path := range []string{"a", "a", "b"} {
		if err := c.Repository(host, path, auth, false).Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	}
	blob := "/blobs/" + d.Digest.String()
	want := []string{"GET /v2/a" + blob, "GET /token", "GET /v2/a" + blob, "GET /v2/a" + blob, "GET /token", "GET /v2/b" + blob}
	if got := reg.Requests(); !slices.Equal(got, want) {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	reg.Heal()
	reg.On("", imagetest.Token("user", "word")) // it knows none of the tokens that the first one gave
	if err := c.Repository(host, "a", auth, false).Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
		t.Errorf("after the token was withdrawn: %v", err)
	}
	want = []string{"GET /v2/a" + blob, "GET /token", "GET /v2/a" + blob}
	if got := reg.Requests(); !slices.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
}

// A hundred requests at once need one token.
func TestOneTokenForMany(t *testing.T) {
	reg, host, d, _ := serve(t)
	reg.On("", imagetest.Token("", ""))
	r := repository(t, host, remote.Auth{})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := r.Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, q := range reg.Requests() {
		if q == "GET /token" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
}

// other is a server of another host that keeps what it was sent.
type other struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newOther(t *testing.T, h http.Handler) *other {
	t.Helper()
	o := &other{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		o.seen = append(o.seen, fmt.Sprint(r.Method, r.Header, body))
		o.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *other) addr() string { return o.Listener.Addr().String() }

func (o *other) check(t *testing.T, secrets ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) == 0 {
		t.Error("the other host was never asked")
	}
	for _, s := range o.seen {
		for _, secret := range append(secrets, "signature", "Referer", "Authorization") {
			if strings.Contains(s, secret) {
				t.Errorf("another host was sent %q: %s", secret, s)
			}
		}
	}
}

// Nothing secret goes along a redirect to another host: of blobs, of tokens, of
// forms, there and back again.
func TestRedirects(t *testing.T) {
	auth := remote.Auth{Username: "user", Password: "canary"}
	away := func(next http.Handler, o *other, code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+o.addr()+r.URL.Path+"?signature=s", code)
		})
	}
	t.Run("blob", func(t *testing.T) {
		reg, host, d, data := serve(t)
		plain := &imagetest.Registry{}
		plain.Put(imagetest.Blob{Descriptor: d, Data: data})
		o := newOther(t, plain)
		reg.On("", imagetest.Basic("user", "canary"))
		reg.On("/blobs/", func(next http.Handler) http.Handler { return away(next, o, 307) })
		if err := repository(t, host, auth).Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		o.check(t, "canary", "dXNlcjpjYW5hcnk=")
	})
	t.Run("and back", func(t *testing.T) {
		reg, host, d, _ := serve(t)
		o := newOther(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+host+"/v2/private/blobs/"+d.Digest.String(), http.StatusTemporaryRedirect)
		}))
		reg.On("", imagetest.Basic("user", "canary"))
		reg.On("/a/b/blobs/", func(next http.Handler) http.Handler { return away(next, o, 302) })
		err := repository(t, host, auth).Blob(t.Context(), d, &bytes.Buffer{})
		if !errors.Is(err, remote.ErrUnauthorized) {
			t.Errorf("credentials came back with the chain: %v", err)
		}
	})
	t.Run("token", func(t *testing.T) {
		reg, host, d, _ := serve(t)
		o := newOther(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"x"}`)) }))
		reg.On("", imagetest.Token("user", "canary"))
		reg.On("/token", func(next http.Handler) http.Handler { return away(next, o, 307) })
		_ = repository(t, host, auth).Blob(t.Context(), d, &bytes.Buffer{})
		reg.Heal()
		reg.On("/token", func(next http.Handler) http.Handler { return away(next, o, 307) })
		reg.On("", imagetest.Token("user", "canary"))
		_ = repository(t, host, auth).Blob(t.Context(), d, &bytes.Buffer{})
		o.check(t, "canary", "dXNlcjpjYW5hcnk=")
	})
	t.Run("form", func(t *testing.T) {
		reg, host, d, _ := serve(t)
		o := newOther(t, http.NotFoundHandler())
		reg.On("/token", func(next http.Handler) http.Handler { return away(next, o, 307) })
		reg.On("", imagetest.Tokens{Identity: "canary"}.Fault())
		err := repository(t, host, remote.Auth{IdentityToken: "canary"}).Blob(t.Context(), d, &bytes.Buffer{})
		if !errors.Is(err, remote.ErrInvalid) || len(o.seen) > 0 {
			t.Errorf("%v, sent %q", err, o.seen)
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		reg, host, d, _ := serve(t)
		reg.On("/blobs/", imagetest.Redirect("storage.example"))
		err := repository(t, host, auth).Blob(t.Context(), d, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "plain http") || strings.Contains(err.Error(), "signature") {
			t.Errorf("error %v", err)
		}
	})
}

// A registry that repeats what it was told finds none of it in an error,
// whatever goes wrong.
func TestNoSecretInErrors(t *testing.T) {
	// echo fails with all that the request held.
	echo := func(code int) imagetest.Fault {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				user, password, _ := r.BasicAuth()
				imagetest.Deny(w, code, r.Header.Get("Authorization"), fmt.Sprint(r.Header, r.URL, user, password, r.Form))
			})
		}
	}
	auths := map[string]remote.Auth{
		"user":     {Username: "user", Password: "canary+/ %"},
		"identity": {IdentityToken: "canary+/ %"},
		"registry": {RegistryToken: "canary"},
	}
	gates := map[string]imagetest.Fault{
		"basic": imagetest.Basic("user", "canary+/ %"), "token": imagetest.Token("user", "canary+/ %"),
		"identity": imagetest.Tokens{Identity: "canary+/ %"}.Fault(), "none": imagetest.Times(0, nil),
	}
	faults := map[string]imagetest.Fault{
		"401": echo(401), "403": echo(403), "404": echo(404), "429": echo(429), "500": echo(500), "200": echo(200),
		"drop": imagetest.Drop(), "truncate": imagetest.Truncate(10), "corrupt": imagetest.Corrupt(),
		"redirect": imagetest.Redirect("canary.example"), "stall": imagetest.Stall(10), "no length": imagetest.NoLength(),
	}
	spellings := []string{"canary", "dXNlcjpjYW5hcnkrLyAl", "signature=secret"}
	for an, a := range auths {
		for gn, gate := range gates {
			for fn, fault := range faults {
				for _, path := range []string{"", "/token", "/blobs/", "/manifests/"} {
					reg, host, d, _ := serve(t)
					reg.On("", gate)
					reg.On(path, fault)
					c := remote.New(remote.Options{Retries: -1, Stall: 50 * time.Millisecond})
					r := c.Repository(host, "a/b", a, false)
					_, err1 := r.Resolve(t.Context(), "1")
					_, _, err2 := r.Manifest(t.Context(), "1")
					err3 := r.Blob(t.Context(), d, &bytes.Buffer{})
					for _, err := range []error{err1, err2, err3} {
						text := fmt.Sprintf("%v %+v %#v", err, errors.Join(err), a)
						for _, s := range spellings {
							if text = strings.ReplaceAll(text, "canary.example", ""); strings.Contains(text, s) {
								t.Errorf("%s, %s, %s of %q: %q in %s", an, gn, fn, path, s, text)
							}
						}
					}
					c.Close()
				}
			}
		}
	}
}

func TestAuthKeepsItsSecrets(t *testing.T) {
	for _, a := range []remote.Auth{{}, {Username: "u", Password: "canary"}, {IdentityToken: "canary"}, {RegistryToken: "canary"}} {
		for _, s := range []string{fmt.Sprint(a), fmt.Sprintf("%+v", a), fmt.Sprintf("%#v", a), fmt.Sprintf("%+v", struct{ A remote.Auth }{a})} {
			if strings.Contains(s, "canary") || s == "" {
				t.Errorf("%q", s)
			}
		}
	}
}
