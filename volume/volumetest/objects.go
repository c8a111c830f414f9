package volumetest

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifepod/lifepod/volume"
)

// Objects are configMaps and secrets in memory, in one namespace for all. The
// zero value has none; it is safe for concurrent use.
type Objects struct {
	mu         sync.Mutex
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
}

var _ volume.Objects = (*Objects)(nil)

// SetConfigMap puts a configMap in; nil data takes it away.
func (o *Objects) SetConfigMap(name string, data map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.configMaps == nil {
		o.configMaps = map[string]*corev1.ConfigMap{}
	}
	o.configMaps[name] = &corev1.ConfigMap{Data: data}
	if data == nil {
		delete(o.configMaps, name)
	}
}

// SetSecret puts a secret in; nil data takes it away.
func (o *Objects) SetSecret(name string, data map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.secrets == nil {
		o.secrets = map[string]*corev1.Secret{}
	}
	o.secrets[name] = &corev1.Secret{Data: data}
	if data == nil {
		delete(o.secrets, name)
	}
}

// ConfigMap returns one that was put in.
func (o *Objects) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cm, ok := o.configMaps[name]; ok {
		return cm, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
}

// Secret returns one that was put in.
func (o *Objects) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.secrets[name]; ok {
		return s, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
}
