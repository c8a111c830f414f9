package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Func finds the hosts of a registry by the domain that image names have
// ("docker.io", "registry.example:5000"), in the order in which to try them. No
// hosts means that the registry is reached under its own name.
type Func func(domain string) ([]Host, error)

// Dir reads the directories of registries below the roots, the first of which
// that has one counts: []string{"/etc/containerd/certs.d", "/etc/docker/certs.d"}.
// They are read at every call, so that a change needs no restart.
func Dir(roots ...string) Func {
	return func(domain string) ([]Host, error) {
		for _, root := range roots {
			dir, err := find(root, domain)
			if err != nil {
				return nil, fmt.Errorf("hosts of %s: %w", domain, err)
			}
			if dir == "" {
				continue
			}
			list, err := load(dir)
			if err != nil {
				return nil, fmt.Errorf("hosts of %s: %w", domain, err)
			}
			return Complete(list, domain), nil
		}
		return nil, nil
	}
}

// find returns the directory of a registry below root, "" if there is none.
func find(root, domain string) (string, error) {
	if domain == "" || domain == "." || domain == ".." || strings.ContainsAny(domain, "/\\\x00") {
		return "", fmt.Errorf("%q is no registry", domain)
	}
	names := []string{domain, "_default"}
	if i := strings.LastIndex(domain, ":"); i > 0 {
		names = append([]string{domain[:i] + "_" + domain[i+1:] + "_"}, names...)
	}
	for _, name := range names {
		dir := filepath.Join(root, name)
		switch _, err := os.Stat(dir); {
		case err == nil:
			return dir, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", nil
}

func load(dir string) ([]Host, error) {
	name := filepath.Join(dir, "hosts.toml")
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(b) == 0 {
		return certificates(dir)
	}
	list, err := Parse(b, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// certificates reads Docker's layout.
func certificates(dir string) ([]Host, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var h Host
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		stem, isClient := strings.CutSuffix(name, ".cert")
		switch {
		case e.IsDir():
		case strings.HasSuffix(name, ".crt"):
			h.CAs = append(h.CAs, name)
		case isClient:
			pair := [2]string{name, stem + ".key"}
			if _, err := os.Stat(pair[1]); errors.Is(err, fs.ErrNotExist) {
				pair[1] = ""
			} else if err != nil {
				return nil, err
			}
			h.Clients = append(h.Clients, pair)
		}
	}
	return []Host{h}, nil
}

// Complete fills in what a list leaves to the registry: a last host without an
// address is the registry itself, which may do everything; an empty list means
// that host alone. Docker Hub has another name than its images. Loopback
// addresses may speak http and have any certificate.
func Complete(list []Host, domain string) []Host {
	if len(list) == 0 {
		list = make([]Host, 1)
	}
	if last := &list[len(list)-1]; last.Host == "" {
		last.own(domain)
	}
	for i := range list {
		list[i].preferTLS()
	}
	return list
}

// own makes h the registry itself.
func (h *Host) own(domain string) {
	h.Scheme, h.Host, h.Path, h.Can = "https", domain, "/v2", all
	if domain == hub {
		h.Host = hubHost
		return
	}
	if !Loopback(domain) {
		return
	}
	_, port, _ := net.SplitHostPort(domain)
	if port != "" && port != "443" {
		h.Scheme = "http"
	}
	if port != "80" {
		yes := true
		h.SkipVerify = &yes
	}
}

// preferTLS makes http, where something is said about certificates, the second
// choice.
func (h *Host) preferTLS() {
	_, port, _ := net.SplitHostPort(h.Host)
	if h.Scheme == "http" && port != "80" && (h.SkipVerify != nil || h.CAs != nil || h.Clients != nil) {
		h.Scheme, h.Fallback = "https", true
	}
}

// Loopback says whether a host, maybe with a port, is this machine.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}
