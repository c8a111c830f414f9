package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/policy"
)

// credentials are what to pull an image with, in the order in which to try them:
// the pod's pull secrets, then the node's; one nil, which is anonymous, when
// there are none for it. A pull secret that is missing is passed over, as in Kubernetes: the image may
// be public.
func (w *worker) credentials(ctx context.Context, image string) ([]*runtimeapi.AuthConfig, error) {
	ref, err := policy.Parse(image)
	if err != nil {
		return nil, err
	}
	var ring credentials.Keyring
	for _, s := range w.pod().Spec.ImagePullSecrets {
		secret, err := w.r.objects().Secret(ctx, w.pod().Namespace, s.Name)
		if absent(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read pull secret %s/%s: %w", w.pod().Namespace, s.Name, err)
		}
		cfg, err := pullSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("read pull secret %s/%s: %w", w.pod().Namespace, s.Name, err)
		}
		ring.Add(cfg)
	}
	found := ring.Lookup(ref.Name())
	if w.r.Credentials != nil {
		more, err := w.r.Credentials.Lookup(ctx, ref.Name())
		if err != nil { // the image may be public, or another source has it
			w.r.Log.Error(err, "ask for the node's registry credentials", "image", ref.Name())
		}
		found = append(found, more...)
	}
	var out []*runtimeapi.AuthConfig
	for _, a := range found {
		c := &runtimeapi.AuthConfig{
			Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
		}
		if a.Host != "" {
			c.ServerAddress = "https://" + a.Host
		}
		out = append(out, c)
	}
	if out == nil {
		return []*runtimeapi.AuthConfig{nil}, nil
	}
	return out, nil
}

func pullSecret(s *corev1.Secret) (credentials.Config, error) {
	switch {
	case s.Type == corev1.SecretTypeDockerConfigJson && len(s.Data[corev1.DockerConfigJsonKey]) > 0:
		return credentials.ParseConfigJSON(s.Data[corev1.DockerConfigJsonKey])
	case s.Type == corev1.SecretTypeDockercfg && len(s.Data[corev1.DockerConfigKey]) > 0:
		return credentials.ParseConfig(s.Data[corev1.DockerConfigKey])
	}
	return nil, nil // of another type: it holds none
}
