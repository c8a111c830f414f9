package lifecycle

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/pullrecord"
)

// logins are what to pull an image with.
type logins struct {
	// auths in the order in which to try them: the pod's pull secrets, then the
	// node's. Those of a secret say From its name.
	auths []credentials.Auth
	// secrets are the pull secrets that were found, by name; missing those that were
	// not: the image may be public.
	secrets map[string]*corev1.Secret
	missing []string
}

// logins looks up what the pod and the node have for an image.
func (w *worker) logins(ctx context.Context, image string) (logins, error) {
	l := logins{secrets: map[string]*corev1.Secret{}}
	ref, err := policy.Parse(image)
	if err != nil {
		return l, err
	}
	var ring credentials.Keyring
	for _, s := range w.pod().Spec.ImagePullSecrets {
		if s.Name == "" { // validation lets it pass
			continue
		}
		secret, err := w.r.objects().Secret(ctx, w.pod().Namespace, s.Name)
		if err != nil {
			if !absent(err) {
				w.r.Log.Error(err, "read pull secret", "pod", w.name(), "secret", s.Name)
			}
			l.missing = append(l.missing, s.Name)
			continue
		}
		cfg, err := pullSecret(secret)
		if err != nil {
			return l, fmt.Errorf("read pull secret %s/%s: %w", w.pod().Namespace, s.Name, err)
		}
		ring.AddFrom(s.Name, cfg)
		l.secrets[s.Name] = secret
	}
	l.auths = ring.Lookup(ref.Name())
	if w.r.Credentials == nil {
		return l, nil
	}
	more, err := w.r.Credentials.Lookup(ctx, ref.Name())
	if err != nil { // the image may be public, or another source has it
		w.r.Log.Error(err, "ask for the node's registry credentials", "image", ref.Name())
	}
	for _, a := range more {
		a.From = ""
		l.auths = append(l.auths, a)
	}
	return l, nil
}

// held are the credentials that are the pod's own.
func (l logins) held() pullrecord.Held {
	var h pullrecord.Held
	for _, a := range l.auths {
		h.Secrets = slices.Concat(h.Secrets, l.used(&a).Secrets)
	}
	return h
}

// used is what to write down of a pull with a; nil is one without credentials.
func (l logins) used(a *credentials.Auth) pullrecord.Credentials {
	if a == nil || a.From == "" {
		return pullrecord.Credentials{Everyone: true}
	}
	s := l.secrets[a.From]
	return pullrecord.Credentials{Secrets: []pullrecord.Secret{
		{UID: string(s.UID), Namespace: s.Namespace, Name: s.Name, Hash: a.Hash()},
	}}
}

func authConfig(a *credentials.Auth) *runtimeapi.AuthConfig {
	if a == nil {
		return nil
	}
	c := &runtimeapi.AuthConfig{
		Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
	}
	if a.Host != "" {
		c.ServerAddress = "https://" + a.Host
	}
	return c
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
