// Package dockerconfig finds credentials where docker, podman and the kubelet
// keep them on a machine: config.json and auth.json files, and the
// docker-credential programs that they name.
package dockerconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/image/credentials"
)

// File is a Docker configuration (config.json) or one of podman (auth.json), as
// far as it concerns credentials. It is a [credentials.Source].
type File struct {
	// Path is where it was read, for errors.
	Path string
	// Auths are credentials by registry, or by the beginning of repositories.
	Auths map[string]credentials.Auth
	// Helpers are the programs that know those of single registries ("ecr-login"
	// for docker-credential-ecr-login), Store the one for all others.
	Helpers map[string]string
	Store   string
}

// maxFile bounds a file, in bytes.
const maxFile = 4 << 20

// Load reads a file. Its errors hold nothing of the content.
func Load(path string) (*File, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.Path = path
	return f, nil
}

func read(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return b, err
}

// Parse reads the content of a file.
func Parse(b []byte) (*File, error) {
	var doc struct {
		Auths       map[string]entry  `json:"auths"`
		CredHelpers map[string]string `json:"credHelpers"`
		CredsStore  string            `json:"credsStore"`
	}
	if json.Unmarshal(b, &doc) != nil {
		return nil, errors.New("not the JSON of a Docker configuration")
	}
	f := &File{Auths: map[string]credentials.Auth{}, Helpers: doc.CredHelpers, Store: doc.CredsStore}
	for name, e := range doc.Auths {
		a, err := e.auth()
		if err != nil {
			return nil, fmt.Errorf("credentials of %s: %w", name, err)
		}
		if a != (credentials.Auth{}) { // an empty one only says that a helper knows it
			f.Auths[name] = a
		}
	}
	names := []string{f.Store}
	for _, n := range f.Helpers {
		names = append(names, n)
	}
	for _, n := range names {
		if strings.ContainsFunc(n, func(c rune) bool { return !isNameByte(c) }) {
			return nil, fmt.Errorf("helper %q: may hold letters, digits, and ._- alone", n)
		}
	}
	return f, nil
}

func isNameByte(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-", c)
}

// entry is how docker writes credentials.
type entry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func (e entry) auth() (credentials.Auth, error) {
	a := credentials.Auth{Username: e.Username, Password: e.Password}
	if e.Auth != "" {
		var err error
		if a, err = credentials.DecodeAuth(e.Auth); err != nil {
			return a, err
		}
		a.Password = strings.Trim(a.Password, "\x00") // as docker once padded it
	}
	a.IdentityToken, a.RegistryToken = e.IdentityToken, e.RegistryToken
	return a, nil
}

// Paths lists the files that podman and docker read for a user, in this order:
// $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json,
// $XDG_CONFIG_HOME/containers/auth.json, $DOCKER_CONFIG/config.json; the last two
// below the user's home by default. Most of them do not exist as a rule.
func Paths() []string {
	home, _ := os.UserHomeDir()
	var all []string
	add := func(dir string, below ...string) {
		if dir != "" {
			all = append(all, filepath.Join(append([]string{dir}, below...)...))
		}
	}
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	return all
}
