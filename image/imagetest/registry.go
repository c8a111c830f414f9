package imagetest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Registry serves images over HTTP, read-only. The zero value is an empty
// registry. It is safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	blobs    map[digest.Digest]Blob
	tags     map[string]digest.Digest // repository:tag
	faults   []fault
	requests []string
}

// Add builds an image and serves it under "repository:tag". It returns the
// digest of its manifest.
func (r *Registry) Add(name string, img Image) (digest.Digest, error) {
	b, err := img.Build()
	if err != nil {
		return "", fmt.Errorf("add image %s: %w", name, err)
	}
	r.put(b)
	r.Set(name, b.Manifest)
	return b.Manifest.Digest, nil
}

// AddIndex serves an index of images, one per platform that their configs name.
func (r *Registry) AddIndex(name string, images ...Image) (digest.Digest, error) {
	idx := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, img := range images {
		b, err := img.Build()
		if err != nil {
			return "", fmt.Errorf("add index %s: %w", name, err)
		}
		r.put(b)
		r.Put(b.Manifest)
		d := b.Manifest.Descriptor
		d.Platform = &ocispec.Platform{OS: b.Image.OS, Architecture: b.Image.Architecture, Variant: b.Image.Variant}
		idx.Manifests = append(idx.Manifests, d)
	}
	data, err := json.Marshal(idx)
	if err != nil {
		return "", fmt.Errorf("add index %s: %w", name, err)
	}
	blob := NewBlob(ocispec.MediaTypeImageIndex, data)
	r.Set(name, blob)
	return blob.Digest, nil
}

func (r *Registry) put(b Built) {
	for _, l := range append(b.Layers, b.Config) {
		r.Put(l)
	}
}

// Put serves a blob under its digest, whether or not it has that content.
func (r *Registry) Put(b Blob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blobs == nil {
		r.blobs = map[digest.Digest]Blob{}
	}
	r.blobs[b.Digest] = b
}

// Set serves a blob as the manifest of "repository:tag".
func (r *Registry) Set(name string, manifest Blob) {
	r.Put(manifest)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tags == nil {
		r.tags = map[string]digest.Digest{}
	}
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	r.tags[name] = manifest.Digest
}

// Requests lists what was asked for since the last call, as "METHOD path".
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.requests = nil }()
	return r.requests
}

// Start serves the registry on a free port of the loopback address, which it
// returns as the host part of image names. stop ends it.
func (r *Registry) Start() (host string, stop func(), err error) { return r.start(nil) }

// StartTLS is Start over TLS. With clients, only a client that shows a
// certificate of the authority is let in.
func (r *Registry) StartTLS(a *Authority, clients bool) (host string, stop func(), err error) {
	cert, err := a.Server("127.0.0.1", "localhost")
	if err != nil {
		return "", nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if clients {
		c.ClientCAs, c.ClientAuth = a.pool(), tls.RequireAndVerifyClientCert
	}
	return r.start(c)
}

func (r *Registry) start(c *tls.Config) (host string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to cancel
	if err != nil {
		return "", nil, fmt.Errorf("start registry: %w", err)
	}
	srv := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute, TLSConfig: c, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c == nil {
			_ = srv.Serve(l)
		} else {
			_ = srv.ServeTLS(l, "", "")
		}
	}()
	return l.Addr().String(), func() { _ = srv.Close(); <-done }, nil
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	faults := slices.Clone(r.faults)
	r.mu.Unlock()
	var h http.Handler = http.HandlerFunc(r.serve)
	for _, f := range slices.Backward(faults) {
		if strings.Contains(req.URL.Path, f.path) {
			h = f.do(h)
		}
	}
	h.ServeHTTP(w, req)
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/v2/" {
		w.WriteHeader(http.StatusOK)
		return
	}
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if repo, id, ok := strings.Cut(path, kind); ok {
			r.blob(w, req, repo, kind, id)
			return
		}
	}
	http.NotFound(w, req)
}

func (r *Registry) blob(w http.ResponseWriter, req *http.Request, repo, kind, id string) {
	r.mu.Lock()
	d, isTag := r.tags[repo+":"+id]
	if !isTag || kind == "/blobs/" {
		d = digest.Digest(id)
	}
	b, ok := r.blobs[d]
	r.mu.Unlock()
	if !ok {
		code := map[string]string{"/manifests/": "MANIFEST_UNKNOWN", "/blobs/": "BLOB_UNKNOWN"}[kind]
		Deny(w, http.StatusNotFound, code, strings.ToLower(strings.ReplaceAll(code, "_", " ")))
		return
	}
	w.Header().Set("Docker-Content-Digest", b.Digest.String())
	w.Header().Set("Content-Type", b.MediaType)
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(b.Data))
}

// Deny answers with an error as registries write them.
func Deny(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
