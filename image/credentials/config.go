package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Config maps registries ("host", "host:port", "host/path", also with a scheme,
// the host maybe a glob) to credentials.
type Config map[string]Auth

var errJSON = errors.New("not the JSON of Docker credentials")

// entry is how Docker writes credentials. Auth wins over the other two.
type entry struct {
	Username, Password string
	Email              string
	Auth               string
}

// ParseConfigJSON reads a ~/.docker/config.json, the content of a secret of type
// kubernetes.io/dockerconfigjson. Its errors hold nothing of the content.
func ParseConfigJSON(b []byte) (Config, error) {
	var file struct{ Auths map[string]entry }
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, errJSON
	}
	return decode(file.Auths)
}

// ParseConfig reads a ~/.dockercfg, the content of a secret of type
// kubernetes.io/dockercfg.
func ParseConfig(b []byte) (Config, error) {
	var entries map[string]entry
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, errJSON
	}
	return decode(entries)
}

func decode(entries map[string]entry) (Config, error) {
	c := Config{}
	for registry, e := range entries {
		a := Auth{Username: e.Username, Password: e.Password}
		if e.Auth != "" {
			var err error
			if a, err = DecodeAuth(e.Auth); err != nil {
				return nil, fmt.Errorf("credentials of %s: %w", registry, err)
			}
		}
		a.Email = e.Email
		c[registry] = a
	}
	return c, nil
}

// DecodeAuth reads base64 of user:password, padded or not. Its errors hold
// nothing of it.
func DecodeAuth(s string) (Auth, error) {
	enc := base64.RawStdEncoding
	if strings.HasSuffix(strings.TrimSpace(s), "=") {
		enc = base64.StdEncoding
	}
	b, err := enc.DecodeString(s)
	if err != nil {
		return Auth{}, errors.New("auth is not base64")
	}
	user, password, ok := strings.Cut(string(b), ":")
	if !ok {
		return Auth{}, errors.New("unable to parse auth field, must be formatted as base64(username:password)")
	}
	return Auth{Username: user, Password: password}, nil
}
