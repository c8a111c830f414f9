package image_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/remote/hosts"
	"github.com/lifepod/lifepod/internal/testutil"
)

// distribution is a docker-registry as Debian has it, with one way to get in.
type distribution struct {
	scheme, host string
	client       *http.Client // of the one who pushes
	user         string
	issuer       *issuer
	cmd          *exec.Cmd
	log          bytes.Buffer
	read         sync.WaitGroup
	stores       []*image.Store // that have connections to it
}

// gate is the configuration of a registry's doors. Files are of its directory.
type gate struct {
	yaml   string // of http.tls and auth, with %s for the directory
	files  map[string][]byte
	client *tls.Config // what TLS needs; nil is plain http
	user   string      // and password, with a colon
	issuer *issuer     // of the tokens that it wants
}

const distributionConfig = `version: 0.1
storage: {filesystem: {rootdirectory: %[1]s/data}}
http: {addr: "127.0.0.1:0", secret: none, draintimeout: 1m%[2]s
`

// startDistribution starts one, which ends with the test.
func startDistribution(t *testing.T, g gate) *distribution {
	t.Helper()
	program := testutil.RequirePeer(t, "docker-registry")
	dir := t.TempDir()
	for name, b := range g.files {
		write(t, filepath.Join(dir, name), b)
	}
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Appendf(nil, distributionConfig, dir, strings.ReplaceAll(g.yaml, "%s", dir)))
	d := &distribution{scheme: "http", user: g.user, issuer: g.issuer, client: &http.Client{Transport: &http.Transport{TLSClientConfig: g.client}}}
	if g.client != nil {
		d.scheme = "https"
	}
	d.cmd = exec.CommandContext(t.Context(), program, "serve", config)
	d.cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	d.cmd.Stdout = &d.log // of accesses
	stderr, err := d.cmd.StderrPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	d.listen(t, stderr)
	return d
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// listen waits until it says where it listens, and reads on so that it can write.
func (d *distribution) listen(t *testing.T, stderr io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(stderr)
	var said []string
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			d.host = m[1]
			d.read.Go(func() { _, _ = io.Copy(io.Discard, stderr) })
			return
		}
		said = append(said, lines.Text())
	}
	t.Fatalf("docker-registry does not listen:\n%s", strings.Join(said, "\n"))
}

var access = regexp.MustCompile(`"([A-Z]+) (/v2/\S+) HTTP/[\d.]+" (\d+) .*"lifepod"`)

// stop ends it, and returns what lifepod asked it for, as "METHOD path status".
func (d *distribution) stop(t *testing.T) (requests []string) {
	t.Helper()
	if d.cmd.ProcessState == nil {
		for _, s := range d.stores {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		d.client.CloseIdleConnections() // it waits for those that were not used yet
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		d.read.Wait()
		_ = d.cmd.Wait()
	}
	for _, m := range access.FindAllStringSubmatch(d.log.String(), -1) {
		path, _, _ := strings.Cut(m[2], "?")
		requests = append(requests, m[1]+" "+path+" "+m[3])
	}
	return requests
}

// do sends a request as the one who pushes.
func (d *distribution) do(t *testing.T, method, where, mediaType string, body []byte, want int) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, where, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if d.issuer != nil {
		d.issuer.authorize(t, req)
	} else if user, password, ok := strings.Cut(d.user, ":"); ok {
		req.SetBasicAuth(user, password)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %s: %s, %v", method, where, resp.Status, said, err)
	}
	return resp
}

// push brings an image to the registry under "repository:tag".
func (d *distribution) push(t *testing.T, name string, img imagetest.Image) imagetest.Built {
	t.Helper()
	b, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	repo, tag, _ := strings.Cut(name, ":")
	base := fmt.Sprintf("%s://%s/v2/%s/", d.scheme, d.host, repo)
	for _, blob := range append(b.Layers, b.Config) {
		at, err := d.do(t, http.MethodPost, base+"blobs/uploads/", "", nil, http.StatusAccepted).Location()
		if err != nil {
			t.Fatal(err)
		}
		q := at.Query()
		q.Set("digest", blob.Digest.String())
		at.RawQuery = q.Encode()
		d.do(t, http.MethodPut, at.String(), "application/octet-stream", blob.Data, http.StatusCreated)
	}
	d.do(t, http.MethodPut, base+"manifests/"+tag, b.Manifest.MediaType, b.Manifest.Data, http.StatusCreated)
	return b
}

// certsD writes a hosts.toml for registry.example whose first mirror is dead, and
// returns the directory of all.
func certsD(t *testing.T, server, more string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "registry.example"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "registry.example", "hosts.toml"),
		fmt.Appendf(nil, "server = %q\n%s\n[host.%q]\n%s\n", server, more, strings.SplitAfter(server, "//")[0]+dead, more))
	return root
}

// through opens a store that finds registry.example as certsD says.
func (d *distribution) through(t *testing.T, server, more string) *image.Store {
	t.Helper()
	s, _, _ := open(t, image.Options{Client: remote.Options{Retries: -1, Hosts: hosts.Dir(certsD(t, server, more))}})
	d.stores = append(d.stores, s)
	return s
}

// htpasswd is user:pass-word for basic authentication.
const htpasswd = "user:$2a$05$jtryyx2ZG4uzRaCQ8ttC/exrtxuL7XzJW49wdCWea0ThgMpZGOjLe\n"

// gates are the ways into a registry, by name.
func gates(t *testing.T) (all map[string]gate, ca *imagetest.Authority) {
	t.Helper()
	ca, err := imagetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.ServerPEM("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	clientCert, clientKey, err := ca.Client("me")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	client := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	files := map[string][]byte{"cert": cert, "key": key, "ca": ca.PEM(), "me.cert": clientCert, "me.key": clientKey, "htpasswd": []byte(htpasswd)}
	const basic = "\nauth: {htpasswd: {realm: lifepod, path: %s/htpasswd}}"
	return map[string]gate{
		"open":                    {yaml: "}"},
		"basic":                   {yaml: "}" + basic, files: files, user: "user:pass-word"},
		"token":                   newIssuer(t, ca).gate(ca),
		"TLS":                     {yaml: ", tls: {certificate: %s/cert, key: %s/key}}", files: files, client: client},
		"TLS with all of it":      {yaml: ", tls: {certificate: %s/cert, key: %s/key, clientcas: [%s/ca]}}" + basic, files: files, client: client, user: "user:pass-word"},
		"TLS with a client's own": {yaml: ", tls: {certificate: %s/cert, key: %s/key, clientcas: [%s/ca]}}", files: files, client: client},
	}, ca
}

// A real registry, by every way into it, behind a mirror that is dead: an image
// is pulled, and the second pull asks for its digest alone. Who lacks what it
// wants is refused and told so, without the secret.
func TestDockerRegistry(t *testing.T) {
	all, ca := gates(t)
	for name, g := range all {
		t.Run(name, func(t *testing.T) {
			d := startDistribution(t, g)
			b := d.push(t, "a/b:1", imagetest.Random(1, 3, 20_000))
			dir, more := t.TempDir(), ""
			for _, f := range []string{"me.cert", "me.key"} {
				write(t, filepath.Join(dir, f), g.files[f])
			}
			write(t, filepath.Join(dir, "ca"), ca.PEM())
			if g.client != nil {
				more = fmt.Sprintf("ca = %q", dir+"/ca")
			}
			if strings.Contains(g.yaml, "clientcas") {
				more += fmt.Sprintf("\nclient = [[%q, %q]]", dir+"/me.cert", dir+"/me.key")
			}
			server, auth := d.scheme+"://"+d.host, remote.Auth{}
			auth.Username, auth.Password, _ = strings.Cut(g.user, ":")
			d.refuses(t, server, more, auth)
			s := d.through(t, server, more)
			for range 2 {
				img, err := s.Pull(t.Context(), "registry.example/a/b:1", image.PullOptions{Auth: auth})
				if err != nil || img.ID != b.Config.Digest {
					t.Fatalf("%v, %v", img.ID, err)
				}
			}
			img, err := s.Get(t.Context(), "registry.example/a/b:1")
			if err != nil {
				t.Fatal(err)
			}
			mount(t, s, "k", img, false)
			wantPulls(t, d.stop(t), b)
		})
	}
}

// refuses fails unless those who lack certificates or a password get nothing.
func (d *distribution) refuses(t *testing.T, server, more string, auth remote.Auth) {
	t.Helper()
	const name = "registry.example/a/b:1"
	if auth.Username != "" {
		for _, wrong := range []remote.Auth{{}, {Username: "user", Password: "other"}, {Username: "other", Password: auth.Password}} {
			_, err := d.through(t, server, more).Pull(t.Context(), name, image.PullOptions{Auth: wrong})
			if !errors.Is(err, remote.ErrUnauthorized) || strings.Contains(err.Error(), auth.Password) {
				t.Errorf("as %v: %v", wrong, err)
			}
		}
	}
	if more != "" {
		_, err := d.through(t, server, "").Pull(t.Context(), name, image.PullOptions{Auth: auth})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("without certificates: %v", err)
		}
	}
}

// wantPulls fails unless the requests that were granted are those of one pull of
// an image that is not there, and one of an image that is.
func wantPulls(t *testing.T, requests []string, b imagetest.Built) {
	t.Helper()
	granted := slices.DeleteFunc(requests, func(r string) bool { return strings.HasSuffix(r, " 401") })
	want := []string{"GET /v2/a/b/manifests/1 200", "HEAD /v2/a/b/manifests/1 200"}
	for _, blob := range append(b.Layers, b.Config) {
		want = append(want, "GET /v2/a/b/blobs/"+blob.Digest.String()+" 200")
	}
	if last := granted[len(granted)-1]; last != want[1] {
		t.Errorf("the last request was %s", last)
	}
	slices.Sort(granted)
	slices.Sort(want)
	if !slices.Equal(granted, want) {
		t.Errorf("asked for\n%s\nwant\n%s", strings.Join(granted, "\n"), strings.Join(want, "\n"))
	}
}

// A pull that breaks off in the middle of a layer goes on there, at a real
// registry, which answers 206 to the range that is asked for.
func TestDockerRegistryResumes(t *testing.T) {
	d := startDistribution(t, gate{yaml: "}"})
	b := d.push(t, "a/b:1", imagetest.Random(7, 1, 100_000))
	layer := b.Layers[0].Digest.String()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: d.host})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, layer) {
			imagetest.Truncate(30_000)(proxy).ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	first := d.through(t, front.URL, "")
	if _, err := first.Pull(t.Context(), "registry.example/a/b:1", image.PullOptions{}); err == nil || len(partials(t, first)) != 1 {
		t.Fatalf("%v; left %q", err, partials(t, first))
	}
	second, err := image.Open(first.Root(), image.Options{NoSync: true, Client: remote.Options{Hosts: hosts.Dir(certsD(t, "http://"+d.host, ""))}})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	img, err := second.Pull(t.Context(), "registry.example/a/b:1", image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mount(t, second, "k", img, false)
	requests := d.stop(t)
	if want := "GET /v2/a/b/blobs/" + layer + " 206"; requests[len(requests)-1] != want {
		t.Errorf("asked for %q, at last not for %s", requests, want)
	}
}
