package local_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/imagetest"
)

// The node's credentials pull what a pod without pull secrets needs; a source
// that fails hinders no other.
func TestNodeCredentials(t *testing.T) {
	o, registry := optionsWith(t)
	registry.On("", imagetest.Basic("node", "word"))
	var asked string
	o.Credentials = credentials.Sources{
		credentials.Func(func(context.Context, string) ([]credentials.Auth, error) { return nil, errors.New("locked") }),
		credentials.Func(func(_ context.Context, repository string) ([]credentials.Auth, error) {
			asked = repository
			return []credentials.Auth{{Username: "node", Password: "old"}, {Username: "node", Password: "word"}}, nil
		}),
	}
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, one("Never", "[exit]"))
	until(t, h, func(s corev1.PodStatus) bool { return s.Phase == corev1.PodSucceeded })
	if asked != "demo.lifepod.example/demo" {
		t.Errorf("asked for %q", asked)
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
}
