package credentials

import (
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Keyring holds credentials by registry. The zero value is empty.
type Keyring struct {
	creds map[string][]Auth
	index []string // of creds, more specific first
}

// Docker Hub's old name, by which its credentials are kept.
const hub = "index.docker.io"

// Add adds credentials. Those added first are tried first among equals; entries
// whose name is no URL are left out.
func (k *Keyring) Add(c Config) {
	if k.creds == nil {
		k.creds = map[string][]Auth{}
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if key, ok := keyOf(name); ok {
			k.creds[key] = append(k.creds[key], c[name])
		}
	}
	k.index = slices.Sorted(maps.Keys(k.creds))
	slices.Reverse(k.index) // a path sorts after the host or path that it begins with
}

// keyOf is the host and path of a registry's entry, without scheme and without
// the /v1/ or /v2/ that Docker once wrote.
func keyOf(name string) (string, bool) {
	if !strings.HasPrefix(name, "https://") && !strings.HasPrefix(name, "http://") {
		name = "https://" + name
	}
	u, err := url.Parse(name)
	if err != nil {
		return "", false
	}
	p := u.Path
	if strings.HasPrefix(p, "/v2/") || strings.HasPrefix(p, "/v1/") {
		p = p[len("/v2"):]
	}
	if p == "/" {
		p = ""
	}
	return u.Host + p, true
}

// AddFrom is Add for credentials that say where they are from.
func (k *Keyring) AddFrom(from string, c Config) {
	c = maps.Clone(c)
	for name, a := range c {
		a.From = from
		c[name] = a
	}
	k.Add(c)
}

// Lookup returns the credentials for a repository ("docker.io/library/busybox",
// "registry:5000/team/app"), in the order in which to try them.
func (k *Keyring) Lookup(repository string) []Auth {
	var found []Auth
	for _, key := range k.index {
		if Match(key, repository) {
			found = append(found, k.creds[key]...)
		}
	}
	if len(found) == 0 && onHub(repository) {
		found = slices.Clone(k.creds[hub])
	}
	return found
}

// Match says whether a key ("*.registry.example/team"), whose host may hold
// globs, covers a repository: the same port, as many labels in the host, and a
// path that begins like it.
func Match(key, repository string) bool {
	g, err := url.Parse("https://" + key)
	if err != nil {
		return false
	}
	t, err := url.Parse("https://" + repository)
	if err != nil {
		return false
	}
	gh, gp := splitHost(g.Host)
	th, tp := splitHost(t.Host)
	if gp != tp || len(gh) != len(th) || !strings.HasPrefix(t.Path, g.Path) {
		return false
	}
	for i := range gh {
		if ok, err := path.Match(gh[i], th[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func splitHost(hostport string) (labels []string, port string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = hostport, ""
	}
	return strings.Split(host, "."), port
}

// onHub says whether a repository is Docker Hub's: by name, or because its first
// part is no host.
func onHub(repository string) bool {
	first, _, ok := strings.Cut(repository, "/")
	switch {
	case first == "":
		return false
	case !ok, first == "docker.io", first == hub:
		return true
	}
	return !strings.ContainsAny(first, ".:")
}

// Lookup asks several keyrings in order, nil ones left out.
func Lookup(repository string, rings ...*Keyring) []Auth {
	var found []Auth
	for _, k := range rings {
		if k != nil {
			found = append(found, k.Lookup(repository)...)
		}
	}
	return found
}
