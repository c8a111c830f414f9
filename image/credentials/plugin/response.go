package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/image/credentials/internal/program"
	kjson "sigs.k8s.io/json"
)

// response is a CredentialProviderResponse.
type response struct {
	Kind          string                `json:"kind"`
	APIVersion    string                `json:"apiVersion"`
	CacheKeyType  string                `json:"cacheKeyType"`
	CacheDuration *Duration             `json:"cacheDuration,omitempty"`
	Auth          map[string]authConfig `json:"auth,omitempty"`
}

type authConfig struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// execute returns what asks a program about an image: it gets the request as its
// input, and has a minute.
func execute(p Provider, path string) func(context.Context, string) (response, error) {
	var env []string
	for _, e := range p.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	return func(ctx context.Context, image string) (response, error) {
		in, err := json.Marshal(map[string]string{"kind": "CredentialProviderRequest", "apiVersion": p.APIVersion, "image": image})
		if err != nil {
			return response{}, err
		}
		out, err := program.Run(ctx, path, p.Args, env, append(in, '\n'))
		if err != nil {
			return response{}, err
		}
		return parseResponse(out, p.APIVersion)
	}
}

// parseResponse reads an answer in the version of the request. Its errors hold
// nothing of it: it may hold credentials.
func parseResponse(b []byte, version string) (response, error) {
	var r response
	var kind struct{ Kind, APIVersion string }
	if json.Unmarshal(b, &kind) != nil {
		return r, errors.New("the response is not JSON")
	}
	if kind.APIVersion != version {
		return r, fmt.Errorf("apiVersion from credential plugin response did not match expected apiVersion:%s", version)
	}
	strict, err := kjson.UnmarshalStrict(b, &r)
	if err != nil || len(strict) > 0 || r.Kind != "CredentialProviderResponse" {
		return response{}, errors.New("error decoding credential provider plugin response from stdout")
	}
	return r, nil
}
