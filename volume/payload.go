package volume

import (
	"context"
	"errors"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
	"github.com/lifepod/lifepod/volume/atomicwriter"
)

// payload is the content of one volume: files by their path in it.
type payload = map[string]atomicwriter.File

var errNoMode = errors.New("no defaultMode used, not even the default value for it")

// source is one configMap or secret as named by a volume or a projection.
type source struct {
	name        string
	items       []corev1.KeyToPath
	defaultMode *int32
	optional    *bool
}

func (s source) isOptional() bool { return s.optional != nil && *s.optional }

// configMapData gets a configMap's content. An optional one that is missing is
// empty.
func (m Mount) configMapData(ctx context.Context, s source) (payload, error) {
	data := map[string][]byte{}
	cm, err := m.Objects.ConfigMap(ctx, m.Pod.Namespace, s.name)
	if err != nil && !(isNotFound(err) && s.isOptional()) {
		return nil, wordNotFound(err, "configmap", s.name)
	}
	if err == nil {
		for k, v := range cm.BinaryData {
			data[k] = v
		}
		for k, v := range cm.Data {
			data[k] = []byte(v)
		}
	}
	return s.project(data, "configmap references non-existent config key: %s")
}

func (m Mount) secretData(ctx context.Context, s source) (payload, error) {
	var data map[string][]byte
	secret, err := m.Objects.Secret(ctx, m.Pod.Namespace, s.name)
	if err != nil && !(isNotFound(err) && s.isOptional()) {
		return nil, wordNotFound(err, "secret", s.name)
	}
	if err == nil {
		data = secret.Data
	}
	return s.project(data, "references non-existent secret key: %s")
}

// wordNotFound gives the absence of an object the kubelet's words, whatever the
// store's are.
func wordNotFound(err error, kind, name string) error {
	if isNotFound(err) {
		return fmt.Errorf("%s %q not found", kind, name)
	}
	return err
}

// project gives each key its file: all keys, or the items.
func (s source) project(data map[string][]byte, missing string) (payload, error) {
	if s.defaultMode == nil {
		return nil, errNoMode
	}
	out := payload{}
	if len(s.items) == 0 {
		for k, v := range data {
			out[k] = atomicwriter.File{Data: v, Mode: uint32(*s.defaultMode)}
		}
		return out, nil
	}
	for _, it := range s.items {
		v, ok := data[it.Key]
		if !ok && s.isOptional() {
			continue
		}
		if !ok {
			return nil, fmt.Errorf(missing, it.Key)
		}
		out[it.Path] = atomicwriter.File{Data: v, Mode: modeOf(it.Mode, s.defaultMode)}
	}
	return out, nil
}

func modeOf(own, byDefault *int32) uint32 {
	if own != nil {
		return uint32(*own)
	}
	return uint32(*byDefault)
}

// downwardData is what the pod's files say of itself.
func (m Mount) downwardData(items []corev1.DownwardAPIVolumeFile, defaultMode *int32) (payload, error) {
	if defaultMode == nil {
		return nil, errNoMode
	}
	out := payload{}
	var errs []error
	for _, it := range items {
		f := atomicwriter.File{Mode: modeOf(it.Mode, defaultMode)}
		v, err := m.downwardValue(it)
		if err != nil {
			errs = append(errs, err)
		}
		f.Data = []byte(v)
		out[path.Clean(it.Path)] = f
	}
	return out, aggregate(errs)
}

func (m Mount) downwardValue(it corev1.DownwardAPIVolumeFile) (string, error) {
	switch {
	case it.FieldRef != nil:
		return pod.MetadataValue(m.Pod, it.FieldRef.FieldPath)
	case it.ResourceFieldRef != nil:
		return pod.VolumeResourceValue(m.Pod, it.ResourceFieldRef, m.Node.Allocatable)
	}
	return "", nil
}

// projectedData puts the sources over one another; of two with one path the
// later wins.
func (m Mount) projectedData(ctx context.Context) (payload, error) {
	v := m.Volume.Projected
	if v.DefaultMode == nil {
		return nil, errNoMode
	}
	out := payload{}
	var errs []error
	for i := range v.Sources {
		part, err := m.projection(ctx, &v.Sources[i], v.DefaultMode)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for p, f := range part {
			out[p] = f
		}
	}
	return out, aggregate(errs)
}

func (m Mount) projection(ctx context.Context, s *corev1.VolumeProjection, mode *int32) (payload, error) {
	switch {
	case s.Secret != nil:
		return m.secretData(ctx, source{s.Secret.Name, s.Secret.Items, mode, s.Secret.Optional})
	case s.ConfigMap != nil:
		return m.configMapData(ctx, source{s.ConfigMap.Name, s.ConfigMap.Items, mode, s.ConfigMap.Optional})
	case s.DownwardAPI != nil:
		return m.downwardData(s.DownwardAPI.Items, mode)
	case s.ServiceAccountToken != nil:
		return m.token(ctx, s.ServiceAccountToken, mode)
	}
	return nil, errors.New("no supported source in projection: use secret, configMap, downwardAPI or serviceAccountToken")
}

const tokenLife = 3600 // seconds, the API's default

func (m Mount) token(ctx context.Context, t *corev1.ServiceAccountTokenProjection, mode *int32) (payload, error) {
	if m.Tokens == nil {
		return nil, errors.New("serviceAccountToken: nothing here issues service account tokens")
	}
	r := TokenRequest{
		Namespace: m.Pod.Namespace, ServiceAccount: m.Pod.Spec.ServiceAccountName,
		Pod: m.Pod.Name, PodUID: string(m.Pod.UID), Audience: t.Audience, ExpirationSeconds: tokenLife,
	}
	if t.ExpirationSeconds != nil {
		r.ExpirationSeconds = *t.ExpirationSeconds
	}
	token, err := m.Tokens.Token(ctx, r)
	if err != nil {
		return nil, err
	}
	f := atomicwriter.File{Data: []byte(token), Mode: uint32(*mode), User: onlyUser(m.Pod)}
	if f.User != nil || fsGroup(m.Pod) != nil {
		f.Mode = 0o600 // the group's right to read comes with fsGroup
	}
	return payload{t.Path: f}, nil
}

// onlyUser is the user of all the pod's containers, nil when they have several
// or one does not say.
func onlyUser(p *corev1.Pod) *int64 {
	var user *int64
	for c := range pod.Containers(&p.Spec, pod.All) {
		var own *int64
		if sc := p.Spec.SecurityContext; sc != nil {
			own = sc.RunAsUser
		}
		if sc := c.SecurityContext; sc != nil && sc.RunAsUser != nil {
			own = sc.RunAsUser
		}
		if own == nil || user != nil && *user != *own {
			return nil
		}
		user = own
	}
	return user
}

func fsGroup(p *corev1.Pod) *int64 {
	if sc := p.Spec.SecurityContext; sc != nil {
		return sc.FSGroup
	}
	return nil
}

// Content is what a configMap, secret, downwardAPI or projected volume holds;
// ok is false for other volumes.
func Content(ctx context.Context, m Mount) (files map[string]atomicwriter.File, ok bool, err error) {
	for _, c := range []content{configMapPlugin, secretPlugin, downwardPlugin, projectedPlugin} {
		if c.supports(m.Volume) {
			files, err = c.data(ctx, m)
			return files, true, err
		}
	}
	return nil, false, nil
}
