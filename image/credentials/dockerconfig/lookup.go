package dockerconfig

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/lifepod/lifepod/image/credentials"
)

var (
	_ credentials.Source = (*File)(nil)
	_ credentials.Source = Files(nil)
)

// hub is the name under which docker keeps what is Docker Hub's.
const hub = "https://index.docker.io/v1/"

// Files are paths, read anew at each lookup, in order; nil means [Paths]. Files
// that are not there are passed over. It is a [credentials.Source].
type Files []string

// Lookup joins what the files know.
func (p Files) Lookup(ctx context.Context, repository string) ([]credentials.Auth, error) {
	if p == nil {
		p = Paths()
	}
	var found []credentials.Auth
	var errs []error
	for _, path := range p {
		f, err := Load(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var a []credentials.Auth
		if err == nil {
			a, err = f.Lookup(ctx, repository)
		}
		found, errs = append(found, a...), append(errs, err)
	}
	return found, errors.Join(errs...)
}

// Lookup asks as docker and podman do: the registry's own helper, else the one
// for all, and then the file itself, where the longest beginning of the
// repository wins. There is at most one answer.
func (f *File) Lookup(ctx context.Context, repository string) ([]credentials.Auth, error) {
	host, _, _ := strings.Cut(repository, "/")
	server := host
	if host == "docker.io" {
		server = hub
	}
	helper := f.Store
	for _, name := range []string{server, host} {
		if h, ok := f.Helpers[name]; ok {
			helper = h
			break
		}
	}
	var failed error
	if helper != "" {
		a, err := ask(ctx, helper, server)
		if err == nil && a != nil {
			return []credentials.Auth{*a}, nil
		}
		failed = err
	}
	if a, ok := f.own(repository, host); ok {
		return []credentials.Auth{a}, failed
	}
	return nil, failed
}

// own looks into the file alone.
func (f *File) own(repository, host string) (credentials.Auth, bool) {
	for name := repository; name != ""; {
		if a, ok := f.Auths[name]; ok {
			return a, true
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			break
		}
		name = name[:i]
	}
	if a, ok := f.Auths[hub]; ok && host == "docker.io" {
		return a, true
	}
	var found string
	for name := range f.Auths { // entries by URL; the first by name, for the same answer each time
		if hostOf(name) == host && name != hostOf(name) && strings.Contains(name, "://") && (found == "" || name < found) {
			found = name
		}
	}
	a, ok := f.Auths[found]
	return a, ok
}

// hostOf is the host of an entry as old dockers wrote them, with scheme and path.
func hostOf(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	name, _, _ = strings.Cut(name, "/")
	if name == "index.docker.io" {
		return "docker.io"
	}
	return name
}
