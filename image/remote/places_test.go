package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/remote/hosts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// configured opens registry.example/a/b as a hosts.toml says, in which files of
// the directory can be named.
func configured(t *testing.T, toml string, files map[string][]byte, o remote.Options) *remote.Repository {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "registry.example")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Hosts = hosts.Dir(root)
	c := remote.New(o)
	t.Cleanup(c.Close)
	return c.Repository("registry.example", "a/b", remote.Auth{}, false)
}

// dead is an address at which nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func fetches(t *testing.T, r *remote.Repository, d ocispec.Descriptor, want []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := r.Blob(t.Context(), d, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}

// Mirrors are asked in order; whatever one cannot give comes from the next.
func TestMirrors(t *testing.T) {
	for name, c := range map[string]struct {
		fault      imagetest.Fault // at the mirror
		fromMirror bool
	}{
		"healthy":      {imagetest.Times(0, nil), true},
		"404":          {imagetest.Status(404), false},
		"401":          {imagetest.Status(401), false},
		"500":          {imagetest.Status(500), false},
		"429":          {imagetest.Status(429), false},
		"no answer":    {imagetest.Drop(), false},
		"stalls":       {imagetest.Stall(3000), false},
		"truncates":    {imagetest.Truncate(3000), false},
		"another size": {imagetest.Replace([]byte("short")), false},
		"a bad range":  {contentRange("bytes 3-9/10000"), false},
	} {
		t.Run(name, func(t *testing.T) {
			mirror, mirrorHost, d, data := serve(t)
			origin, originHost, _, _ := serve(t)
			mirror.On("/blobs/", c.fault)
			r := configured(t, fmt.Sprintf("server = 'http://%s'\n[host.'http://%s']\n[host.'http://%s']", originHost, dead(t), mirrorHost), nil,
				remote.Options{Retries: -1, Stall: 100 * time.Millisecond})
			fetches(t, r, d, data)
			if fromMirror := len(origin.Requests()) == 0; fromMirror != c.fromMirror {
				t.Errorf("from the mirror: %v", fromMirror)
			}
			if len(mirror.Requests()) == 0 {
				t.Error("the mirror was not asked")
			}
		})
	}
}

// When all fail, the error is the registry's, and tells of the mirrors too.
func TestAllFail(t *testing.T) {
	mirror, mirrorHost, d, _ := serve(t)
	origin, originHost, _, _ := serve(t)
	mirror.On("", imagetest.Status(500))
	origin.On("", imagetest.Status(404))
	r := configured(t, fmt.Sprintf("server = 'http://%s'\n[host.'http://%s']", originHost, mirrorHost), nil, quick)
	err := r.Blob(t.Context(), d, &bytes.Buffer{})
	if !errors.Is(err, remote.ErrNotFound) || !strings.Contains(err.Error(), mirrorHost) || !strings.Contains(err.Error(), "500") {
		t.Errorf("error %v", err)
	}
}

// A mirror that only may pull is asked for content, never for what a tag names.
func TestCapabilities(t *testing.T) {
	mirror, mirrorHost, d, data := serve(t)
	origin, originHost, _, _ := serve(t)
	for _, reg := range []*imagetest.Registry{mirror, origin} {
		if _, err := reg.Add("a/b:1", imagetest.Image{}); err != nil {
			t.Fatal(err)
		}
	}
	r := configured(t, fmt.Sprintf("server = 'http://%s'\n[host.'http://%s']\ncapabilities = ['pull']", originHost, mirrorHost), nil, quick)
	if _, err := r.Resolve(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	md, _, err := r.Manifest(t.Context(), "1")
	if err != nil {
		t.Error(err)
	}
	if got := mirror.Requests(); len(got) > 0 {
		t.Errorf("the mirror was asked %q", got)
	}
	if _, _, err := r.Manifest(t.Context(), md.Digest.String()); err != nil || len(mirror.Requests()) != 1 {
		t.Errorf("by digest: %v", err)
	}
	fetches(t, r, d, data)
	none := configured(t, fmt.Sprintf("server = 'http://%s'\ncapabilities = ['push']", originHost), nil, quick)
	if _, err := none.Resolve(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "capabilities") {
		t.Errorf("nobody may say: %v", err)
	}
}

// What a hosts.toml says of a host goes with every request to it: the registry
// meant, the path, the headers; and with those to its token server.
func TestHostSays(t *testing.T) {
	reg, host, d, data := serve(t)
	var mu sync.Mutex
	var seen []string
	reg.On("", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen = append(seen, fmt.Sprint(r.URL.Path, " ", r.URL.Query().Get("ns"), " ", r.Header["X-One"], r.Header.Get("User-Agent")))
			mu.Unlock()
			next.ServeHTTP(w, r)
		})
	})
	reg.On("", imagetest.Token("", ""))
	reg.On("/prefix/", func(next http.Handler) http.Handler { return http.StripPrefix("/prefix", next) })
	r := configured(t, fmt.Sprintf("[host.'http://%s/prefix/v2']\noverride_path = true\n[host.'http://%s/prefix/v2'.header]\nx-one = ['1', '2']\nuser-agent = 'me'", host, host), nil, quick)
	fetches(t, r, d, data)
	blob := "/v2/a/b/blobs/" + d.Digest.String() + " registry.example [1 2]me"
	want := []string{blob, "/token  [1 2]me", blob}
	for i := range seen {
		seen[i] = strings.TrimPrefix(seen[i], "/prefix")
	}
	if !slices.Equal(seen, want) {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}

// TLS with an authority of its own and a client's certificate, over HTTP/2 and
// one connection; each thing that is missing is an error that says so.
func TestTLS(t *testing.T) {
	ca, err := imagetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Client("me")
	if err != nil {
		t.Fatal(err)
	}
	reg := &imagetest.Registry{}
	host, stop, err := reg.StartTLS(ca, true)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, _, d, data := serve(t)
	reg.Put(imagetest.Blob{Descriptor: d, Data: data})
	var proto atomic.Value
	reg.On("", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proto.Store(r.Proto)
			next.ServeHTTP(w, r)
		})
	})
	files := map[string][]byte{"ca.pem": ca.PEM(), "me.cert": cert, "me.key": key, "both.pem": append(slices.Clone(cert), key...), "no.pem": []byte("no")}
	for name, c := range map[string]struct{ toml, want string }{
		"all":            {"ca = 'ca.pem'\nclient = [['me.cert', 'me.key']]", ""},
		"one file":       {"ca = ['ca.pem']\nclient = 'both.pem'", ""},
		"skip_verify":    {"skip_verify = true\nclient = 'both.pem'", ""},
		"unknown CA":     {"client = 'both.pem'", "certificate signed by unknown authority"},
		"no client":      {"ca = 'ca.pem'", "GET 127.0.0.1"},
		"CA is missing":  {"ca = 'gone.pem'", "gone.pem: no such file"},
		"CA is none":     {"ca = 'no.pem'", "no.pem: holds no certificate in PEM"},
		"client is none": {"client = 'no.pem'", "no.pem"},
		"key is no key":  {"client = [['me.cert', 'me.cert']]", "client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			r := configured(t, fmt.Sprintf("server = 'https://%s'\n%s", host, c.toml), files, remote.Options{Retries: -1})
			conns := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				if !i.Reused {
					conns++
				}
			}})
			for range 3 {
				err := r.Blob(ctx, d, &bytes.Buffer{})
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, want %q", err, c.want)
				}
			}
			if c.want == "" && (conns != 1 || proto.Load() != "HTTP/2.0") {
				t.Errorf("%d connections of %v", conns, proto.Load())
			}
		})
	}
}

// A connection is used again, also after errors and redirects.
func TestConnectionsAreReused(t *testing.T) {
	reg, host, d, data := serve(t)
	reg.On("", imagetest.Token("", ""))
	reg.On("/blobs/", imagetest.Times(2, imagetest.Status(500)))
	r := repository(t, host, remote.Auth{})
	conns := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			conns++
		}
	}})
	for range 5 {
		var got bytes.Buffer
		if err := r.Blob(ctx, d, &got); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Fatal(err)
		}
		if _, err := r.Resolve(ctx, "gone"); !errors.Is(err, remote.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if conns != 1 {
		t.Errorf("%d connections", conns)
	}
}

// The file is read for each repository: no restart is needed after a change. A
// broken one is an error that names it.
func TestHostsAreReadAnew(t *testing.T) {
	_, host, d, data := serve(t)
	root := t.TempDir()
	file := filepath.Join(root, "registry.example", "hosts.toml")
	c := remote.New(remote.Options{Hosts: hosts.Dir(root), Retries: -1})
	defer c.Close()
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"server = 'http://" + host + "'": "", "server = 7": file + ": line 1", "[host.x]\nmirror = 1": `unknown key "host.x.mirror"`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := c.Repository("registry.example", "a", remote.Auth{}, false)
		if want == "" {
			fetches(t, r, d, data)
			continue
		}
		if err := r.Blob(t.Context(), d, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// A mirror that answers nothing costs its limit once, not once a request.
func TestDeadMirrorRests(t *testing.T) {
	_, host, d, data := serve(t)
	var dials atomic.Int32
	base := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "mirror.example:443" {
			dials.Add(1)
			return nil, &net.OpError{Op: "dial", Err: errors.New("no route")}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	r := configured(t, fmt.Sprintf("server = 'http://%s'\n[host.'https://mirror.example']", host), nil, remote.Options{Transport: base})
	for range 5 {
		fetches(t, r, d, data)
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("the mirror was dialled %d times", n)
	}
}

// A layer may lie elsewhere, where that is allowed, and nobody there gets
// credentials (CVE-2020-15157).
func TestForeignLayers(t *testing.T) {
	auth := remote.Auth{Username: "user", Password: "canary"}
	reg, host, d, data := serve(t)
	reg.On("", imagetest.Basic("user", "canary"))
	elsewhere := &imagetest.Registry{}
	elsewhere.Put(imagetest.Blob{Descriptor: d, Data: data})
	asks := newOther(t, imagetest.Token("", "")(http.NotFoundHandler()))
	gives := newOther(t, elsewhere)
	d.URLs = []string{"ftp://x/y", "http://far.example/x", "http://" + asks.addr() + "/v2/x/blobs/" + d.Digest.String(), "http://" + gives.addr() + "/v2/x/blobs/" + d.Digest.String()}
	open := func(allowed bool) *remote.Repository {
		o := quick
		o.ForeignLayers = allowed
		c := remote.New(o)
		t.Cleanup(c.Close)
		return c.Repository(host, "a", auth, false)
	}
	fetches(t, open(true), d, data)
	for _, o := range []*other{asks, gives} {
		o.check(t, "canary", "dXNlcjpjYW5hcnk=")
	}
	if n := len(reg.Requests()); n > 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	fetches(t, open(false), d, data)
	if n := len(reg.Requests()); n == 0 {
		t.Error("where it is not allowed, the registry is asked")
	}
	d.URLs = d.URLs[:1]
	fetches(t, open(true), d, data) // the registry may have it
	o := remote.Options{ForeignLayers: true, Retries: -1, Mirrors: map[string]string{"registry.example": dead(t)}}
	c := remote.New(o)
	defer c.Close()
	d.URLs = []string{"http://127.0.0.1:1/secret"}
	err := c.Repository("registry.example", "a", remote.Auth{}, false).Blob(t.Context(), d, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "which only this machine reaches") {
		t.Errorf("an image of elsewhere leads to this machine: %v", err)
	}
}
