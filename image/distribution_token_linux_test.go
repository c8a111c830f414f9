package image_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

// issuer is a token server: it gives user:pass-word JSON web tokens that a registry
// takes, signed by a certificate of the authority that the registry trusts.
type issuer struct {
	url  string
	cert tls.Certificate
	// life is how long the n-th token is good, from 0.
	life func(n int) time.Duration

	mu     sync.Mutex
	issued []string
}

// leeway is how much longer the registry takes a token.
const leeway = time.Minute

func newIssuer(t *testing.T, ca *imagetest.Authority) *issuer {
	t.Helper()
	cert, key, err := ca.Client("issuer")
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{life: func(int) time.Duration { return time.Hour }}
	if i.cert, err = tls.X509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// gate is that of a registry that wants the tokens.
func (i *issuer) gate(ca *imagetest.Authority) gate {
	return gate{
		yaml:   "}\nauth: {token: {realm: " + i.url + "/token, service: lifepod, issuer: issuer.lifepod.example, rootcertbundle: %s/ca}}",
		files:  map[string][]byte{"ca": ca.PEM()},
		user:   "user:pass-word",
		issuer: i,
	}
}

// ServeHTTP gives a token to pull with what is asked for, to whom it may.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	scope := r.URL.Query().Get("scope")
	repository, ok := strings.CutSuffix(strings.TrimPrefix(scope, "repository:"), ":pull")
	if user != "user" || password != "pass-word" || !ok || r.URL.Query().Get("service") != "lifepod" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	i.mu.Lock()
	life := i.life(len(i.issued))
	i.mu.Unlock()
	token, err := i.sign(repository, life, "pull")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i.mu.Lock()
	i.issued = append(i.issued, token)
	i.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": max(int(life/time.Second), 1)})
}

// sign makes a token (RFC 7519, ES256) with which the registry lets actions be done
// in a repository.
func (i *issuer) sign(repository string, life time.Duration, actions ...string) (string, error) {
	now := time.Now()
	var parts []string
	for _, v := range []map[string]any{
		{"typ": "JWT", "alg": "ES256", "x5c": [][]byte{i.cert.Certificate[0]}},
		{
			"iss": "issuer.lifepod.example", "sub": "user", "aud": "lifepod", "jti": rand.Text(),
			"iat": now.Unix(), "nbf": now.Add(-leeway).Unix(), "exp": now.Add(life - leeway).Unix(),
			"access": []map[string]any{{"type": "repository", "name": repository, "actions": actions}},
		},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b))
	}
	text := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.cert.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// authorize lets whoever pushes do what a request needs.
func (i *issuer) authorize(t *testing.T, req *http.Request) {
	t.Helper()
	repository, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/blobs/")
	repository, _, _ = strings.Cut(repository, "/manifests/")
	token, err := i.sign(repository, time.Hour, "pull", "push")
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
}

// A token that a real registry stops to take in the middle of a pull is renewed,
// once, and the pull goes on. The registry stands behind a proxy that holds the
// layers back until the first token is too old.
func TestDockerRegistryTokenExpires(t *testing.T) {
	ca, err := imagetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer(t, ca)
	const short = 2 * time.Second
	i.life = func(n int) time.Duration {
		if n == 0 {
			return short
		}
		return time.Hour
	}
	d := startDistribution(t, i.gate(ca))
	b := d.push(t, "a/b:1", imagetest.Random(1, 4, 20_000))
	var mu sync.Mutex
	var asked []string // as "token status path", where the token is the number of it
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: d.host})
	proxy.ModifyResponse = func(r *http.Response) error {
		mu.Lock()
		defer mu.Unlock()
		i.mu.Lock()
		defer i.mu.Unlock()
		n := slices.Index(i.issued, strings.TrimPrefix(r.Request.Header.Get("Authorization"), "Bearer "))
		asked = append(asked, fmt.Sprint(n, " ", r.StatusCode, " ", filepath.Base(filepath.Dir(r.Request.URL.Path))))
		return nil
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			time.Sleep(short + time.Second) // exp has whole seconds
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	s := d.through(t, front.URL, "")
	img, err := s.Pull(t.Context(), "registry.example/a/b:1", image.PullOptions{Auth: remote.Auth{Username: "user", Password: "pass-word"}})
	if err != nil || img.ID != b.Config.Digest {
		t.Fatalf("%v, %v; %q", img.ID, err, asked)
	}
	if len(i.issued) != 2 {
		t.Errorf("%d tokens were issued; %q", len(i.issued), asked)
	}
	refused := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !strings.HasPrefix(s, "0 401 ") })
	if len(refused) == 0 {
		t.Errorf("the first token was taken all the time: %q", asked)
	}
	wantClean(t, s)
}
