// Package plugin runs the kubelet's credential providers: programs that are told
// an image and answer with credentials (CredentialProviderConfig of
// kubelet.config.k8s.io, CredentialProviderRequest and -Response of
// credentialprovider.kubelet.k8s.io). It matches images, keeps answers and lets
// them expire as a kubelet does.
package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Provider is one program of a configuration.
type Provider struct {
	// Name is that of the program in the directory of the providers.
	Name string `json:"name"`
	// MatchImages are the images that it is asked about, as in
	// credentials.Match.
	MatchImages []string `json:"matchImages"`
	// DefaultCacheDuration is how long an answer is kept that does not say. It is
	// required.
	DefaultCacheDuration *Duration `json:"defaultCacheDuration"`
	// APIVersion is that of its requests and answers.
	APIVersion string   `json:"apiVersion"`
	Args       []string `json:"args,omitempty"`
	Env        []EnvVar `json:"env,omitempty"`
	// TokenAttributes would give it service accounts' tokens. Nothing here has
	// any: a configuration that asks for them is refused.
	TokenAttributes *json.RawMessage `json:"tokenAttributes,omitempty"`
}

// EnvVar is a variable that a program gets beside this process's environment.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Duration is written as in "10m".
type Duration struct{ time.Duration }

// UnmarshalJSON reads a string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a duration is written as in \"10m\"")
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q is not written as in \"10m\"", s)
	}
	d.Duration = v
	return nil
}

// config is a CredentialProviderConfig.
type config struct {
	Kind       string     `json:"kind"`
	APIVersion string     `json:"apiVersion"`
	Providers  []Provider `json:"providers"`
}

// The versions of configurations, and of requests and answers.
var (
	configVersions = []string{"kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1alpha1", "kubelet.config.k8s.io/v1beta1"}
	apiVersions    = []string{
		"credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1alpha1", "credentialprovider.kubelet.k8s.io/v1beta1",
	}
)

// Parse reads a CredentialProviderConfig, YAML or JSON, and validates it.
func Parse(b []byte) ([]Provider, error) {
	list, err := decode(b)
	if err != nil {
		return nil, err
	}
	return list, validate(list)
}

func decode(b []byte) ([]Provider, error) {
	j, err := yaml.YAMLToJSONStrict(b)
	if err != nil {
		return nil, err
	}
	var c config
	strict, err := kjson.UnmarshalStrict(j, &c)
	switch {
	case err != nil:
		return nil, err
	case c.Kind != "CredentialProviderConfig":
		return nil, fmt.Errorf("kind %q is not CredentialProviderConfig", c.Kind)
	case !slices.Contains(configVersions, c.APIVersion):
		return nil, fmt.Errorf("apiVersion %q is none of %s", c.APIVersion, strings.Join(configVersions, ", "))
	}
	return c.Providers, errors.Join(strict...)
}

// validate finds all that is wrong, with the kubelet's paths and words.
func validate(list []Provider) error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("providers%s: %s", path, fmt.Sprintf(format, args...)))
	}
	if len(list) == 0 {
		bad("", "Required value: at least 1 item in plugins is required")
	}
	seen := map[string]bool{}
	for _, p := range list {
		validateName(p.Name, bad)
		if seen[p.Name] {
			bad(".name", "Duplicate value: %q", p.Name)
		}
		seen[p.Name] = true
		switch {
		case p.APIVersion == "":
			bad(".apiVersion", "Required value")
		case !slices.Contains(apiVersions, p.APIVersion):
			bad(".apiVersion", "Unsupported value: %q: supported values: %q", p.APIVersion, apiVersions)
		}
		if len(p.MatchImages) == 0 {
			bad(".matchImages", "Required value: at least 1 item in matchImages is required")
		}
		for _, m := range p.MatchImages {
			if _, err := url.Parse("https://" + m); err != nil {
				bad(".matchImages", "Invalid value: %q: match image is invalid: %v", m, err)
			}
		}
		switch d := p.DefaultCacheDuration; {
		case d == nil:
			bad(".defaultCacheDuration", "Required value")
		case d.Duration < 0:
			bad(".defaultCacheDuration", "Invalid value: %q: must be greater than or equal to 0", d.Duration)
		}
		if p.TokenAttributes != nil {
			bad(".tokenAttributes", "Forbidden: there are no service account tokens to give to a provider; take the field out")
		}
	}
	return errors.Join(errs...)
}

func validateName(name string, bad func(path, format string, args ...any)) {
	switch {
	case name == "":
		bad(".name", "Required value")
	case strings.Contains(name, "/"):
		bad(".name", "Invalid value: %q: provider name cannot contain '/'", name)
	case strings.Contains(name, " "):
		bad(".name", "Invalid value: %q: provider name cannot contain spaces", name)
	case name == ".", name == "..":
		bad(".name", "Invalid value: %q: provider name cannot be '%s'", name, name)
	}
}

// readAll reads a file, or the .json, .yaml and .yml files of a directory in the
// order of their names.
func readAll(path string) ([]Provider, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if fi.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".json" || ext == ".yaml" || ext == ".yml") {
				names = append(names, filepath.Join(path, e.Name()))
			}
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no configuration files found in directory %q", path)
		}
	}
	var all []Provider
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := decode(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, list...)
	}
	return all, validate(all)
}
