package podspec

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// EnvVar is one variable with its final value, which may hold any byte but NUL.
type EnvVar struct{ Name, Value string }

// EnvInput is what the values of a container's variables come from.
type EnvInput struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	// ConfigMaps and Secrets of the pod's namespace by name, as [References]
	// lists them. One that is absent does not exist.
	ConfigMaps map[string]*corev1.ConfigMap
	Secrets    map[string]*corev1.Secret
	// Services of the pod's namespace, and the one named kubernetes of the
	// namespace default. Others are ignored.
	Services []*corev1.Service
	// HostIPs and PodIPs, the primary address first.
	HostIPs, PodIPs []string
	// Allocatable are the node's allocatable resources: what a container
	// without limits may use.
	Allocatable corev1.ResourceList
}

// References names the configMaps and secrets that the container's variables
// are read from, sorted and without duplicates.
func References(c *corev1.Container) (configMaps, secrets []string) {
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			configMaps = append(configMaps, from.ConfigMapRef.Name)
		} else if from.SecretRef != nil {
			secrets = append(secrets, from.SecretRef.Name)
		}
	}
	for _, e := range c.Env {
		if e.Value != "" || e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			configMaps = append(configMaps, r.Name)
		} else if r := e.ValueFrom.SecretKeyRef; r != nil {
			secrets = append(secrets, r.Name)
		}
	}
	slices.Sort(configMaps)
	slices.Sort(secrets)
	return slices.Compact(configMaps), slices.Compact(secrets)
}

// Env gives the container's variables, sorted by name: those of services, over
// them envFrom in its order, over them env. A value refers to variables
// declared before it. An optional source or key that is missing is skipped; any
// other is an error with the reason CreateContainerConfigError.
func Env(in EnvInput) ([]EnvVar, error) {
	if in.Pod.Spec.EnableServiceLinks == nil {
		return nil, configErrorf("nil pod.spec.enableServiceLinks encountered, cannot construct envvars")
	}
	services := serviceEnv(in.Pod.Namespace, *in.Pod.Spec.EnableServiceLinks, in.Services)
	vars := map[string]string{}
	for _, from := range in.Container.EnvFrom {
		if err := in.addAll(vars, from); err != nil {
			return nil, configError(err)
		}
	}
	for _, e := range in.Container.Env {
		v, err := in.value(e, vars, services)
		if errors.Is(err, errSkip) {
			continue
		}
		if err != nil {
			return nil, configError(err)
		}
		vars[e.Name] = v
	}
	for name, v := range services {
		if _, own := vars[name]; !own {
			vars[name] = v
		}
	}
	out := make([]EnvVar, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, EnvVar{name, vars[name]})
	}
	return out, nil
}

func (in *EnvInput) addAll(vars map[string]string, from corev1.EnvFromSource) error {
	switch {
	case from.ConfigMapRef != nil:
		cm, err := in.configMap(from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		if err != nil || cm == nil {
			return err
		}
		for k, v := range cm.Data {
			vars[from.Prefix+k] = v
		}
	case from.SecretRef != nil:
		s, err := in.secret(from.SecretRef.Name, from.SecretRef.Optional)
		if err != nil || s == nil {
			return err
		}
		for k, v := range s.Data {
			vars[from.Prefix+k] = string(v)
		}
	}
	return nil
}

// errSkip leaves a variable out: its source is optional and missing.
var errSkip = errors.New("skip")

func (in *EnvInput) value(e corev1.EnvVar, vars, services map[string]string) (string, error) {
	if e.Value != "" || e.ValueFrom == nil {
		return pod.Expand(e.Value, pod.Lookup(vars, services)), nil
	}
	switch from := e.ValueFrom; {
	case from.FieldRef != nil:
		return pod.FieldValue(in.Pod, from.FieldRef, pod.Addresses{HostIPs: in.HostIPs, PodIPs: in.PodIPs})
	case from.ResourceFieldRef != nil:
		return pod.EnvResourceValue(in.Pod, in.Container, from.ResourceFieldRef, in.Allocatable)
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		cm, err := in.configMap(r.Name, r.Optional)
		if err != nil {
			return "", err
		}
		var data map[string]string
		if cm != nil {
			data = cm.Data
		}
		return key(data, r.Key, r.Optional, "ConfigMap", in.Pod.Namespace, r.Name)
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		s, err := in.secret(r.Name, r.Optional)
		if err != nil {
			return "", err
		}
		var data map[string][]byte
		if s != nil {
			data = s.Data
		}
		return key(data, r.Key, r.Optional, "Secret", in.Pod.Namespace, r.Name)
	case from.FileKeyRef != nil:
		return "", fmt.Errorf("environment variable %s: fileKeyRef is not supported; use configMapKeyRef or secretKeyRef", e.Name)
	}
	return "", nil
}

func key[V ~string | ~[]byte](data map[string]V, key string, optional *bool, kind, namespace, name string) (string, error) {
	v, ok := data[key]
	if ok {
		return string(v), nil
	}
	if optional != nil && *optional {
		return "", errSkip
	}
	return "", fmt.Errorf("couldn't find key %v in %s %v/%v", key, kind, namespace, name)
}

// configMap finds one; nil without an error is an optional one that is missing.
func (in *EnvInput) configMap(name string, optional *bool) (*corev1.ConfigMap, error) {
	if cm := in.ConfigMaps[name]; cm != nil {
		return cm, nil
	}
	if optional != nil && *optional {
		return nil, nil
	}
	return nil, fmt.Errorf("configmap %q not found", name)
}

func (in *EnvInput) secret(name string, optional *bool) (*corev1.Secret, error) {
	if s := in.Secrets[name]; s != nil {
		return s, nil
	}
	if optional != nil && *optional {
		return nil, nil
	}
	return nil, fmt.Errorf("secret %q not found", name)
}
