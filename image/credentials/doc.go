// Package credentials picks what to log in to a registry with. It is pure: it
// reads Docker's configuration as pull secrets hold it (dockerconfigjson and
// dockercfg), and matches as Kubernetes does: hosts may be globs, the longest
// path wins, and several credentials may fit, to be tried in order.
//
// What has to be asked for is a [Source]: package dockerconfig has the files and
// helper programs of docker, podman and the kubelet, package plugin the
// kubelet's credential providers.
package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// Auth is one pair of credentials, or a token. The zero value is anonymous.
type Auth struct {
	Username, Password string
	// IdentityToken is exchanged for access tokens, RegistryToken is sent as it is.
	IdentityToken, RegistryToken string
	// Host, if it is set, is the only one that gets them, with its port and as it is
	// asked: "registry-1.docker.io". Mirrors and the registry are hosts of their own.
	Host string
	// Email is what Docker once kept beside them: no registry is told it.
	Email string
	// From says where they were found, in the words of who added them to a Keyring;
	// it is handed back by Lookup, and told to no registry.
	From string
}

// For is what a host gets: nothing, if the credentials are another's.
func (a Auth) For(host string) Auth {
	if a.Host != "" && a.Host != host {
		return Auth{}
	}
	a.Host = ""
	return a
}

// Hash is the kubelet's hash of credentials, by which its records of pulls know
// them again: the SHA-256, in hex, of what Docker's API calls an AuthConfig.
func (a Auth) Hash() string {
	b, err := json.Marshal(struct {
		Username      string `json:"username,omitempty"`
		Password      string `json:"password,omitempty"`
		Email         string `json:"email,omitempty"`
		ServerAddress string `json:"serveraddress,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
		RegistryToken string `json:"registrytoken,omitempty"`
	}{a.Username, a.Password, a.Email, a.Host, a.IdentityToken, a.RegistryToken})
	if err != nil { // strings can always be written
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// String says who, and keeps the secrets: formatting an Auth prints none.
func (a Auth) String() string {
	switch {
	case a.RegistryToken != "":
		return "a registry token"
	case a.IdentityToken != "":
		return "an identity token"
	case a.Username != "":
		return "user " + a.Username
	}
	return "anonymous"
}

// GoString is String.
func (a Auth) GoString() string { return a.String() }

// Source finds the credentials for a repository ("docker.io/library/busybox"),
// in the order in which to try them; none means that it knows of none. An error
// tells what could not be asked: the credentials beside it are good. Its texts
// hold no secret. Lookup may be called concurrently.
type Source interface {
	Lookup(ctx context.Context, repository string) ([]Auth, error)
}

// Func is a function as a Source.
type Func func(ctx context.Context, repository string) ([]Auth, error)

// Lookup calls f.
func (f Func) Lookup(ctx context.Context, repository string) ([]Auth, error) {
	return f(ctx, repository)
}

// Sources asks several in order.
type Sources []Source

// Lookup joins the answers, and the errors.
func (s Sources) Lookup(ctx context.Context, repository string) ([]Auth, error) {
	var found []Auth
	var errs []error
	for _, one := range s {
		a, err := one.Lookup(ctx, repository)
		found, errs = append(found, a...), append(errs, err)
	}
	return found, errors.Join(errs...)
}
