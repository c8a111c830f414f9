package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// serveLayouts is the registry: OCI layouts, each a repository of one tag. It is
// a process of its own, so that its work is counted to nobody, and says on
// standard output where it listens.
func serveLayouts(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to cancel
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	srv := &http.Server{Handler: layouts(dir), ReadHeaderTimeout: time.Minute}
	return srv.Serve(l)
}

type layouts string

// ServeHTTP implements http.Handler.
func (dir layouts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	if rest == "" {
		return
	}
	repo, id, ok := strings.Cut(rest, "/blobs/")
	mediaType := "application/octet-stream"
	if !ok {
		repo, id, ok = strings.Cut(rest, "/manifests/")
		mediaType = ocispec.MediaTypeImageManifest
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	d, err := digest.Parse(id)
	if err != nil {
		desc, err := manifestOf(filepath.Join(string(dir), filepath.Base(repo)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		d = desc.Digest
	}
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("Content-Type", mediaType)
	http.ServeFile(w, r, filepath.Join(string(dir), filepath.Base(repo), "blobs", "sha256", d.Encoded()))
}

// manifestOf is the one manifest of an OCI layout.
func manifestOf(layout string) (ocispec.Descriptor, error) {
	var index ocispec.Index
	b, err := os.ReadFile(filepath.Join(layout, ocispec.ImageIndexFile))
	if err == nil {
		err = json.Unmarshal(b, &index)
	}
	if err == nil && len(index.Manifests) != 1 {
		err = fmt.Errorf("%d manifests in %s", len(index.Manifests), layout)
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return index.Manifests[0], nil
}

// startRegistry runs serveLayouts until stop.
func startRegistry(ctx context.Context, dir string) (host string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "registry", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("start registry: %w", err)
	}
	stop = func() { cancel(); _ = cmd.Wait() }
	host, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start registry: %w", err)
	}
	return strings.TrimSpace(host), stop, nil
}
