package local_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/pacing"
	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/lifecycle/local"
)

const pullPod = `
apiVersion: v1
kind: Secret
metadata: {name: registry}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{"demo.lifepod.example":{"auth":"AUTH"}}}'}
---
apiVersion: v1
kind: Pod
metadata: {name: pull}
spec:
  restartPolicy: Never
  imagePullSecrets: SECRETS
  containers:
  - {name: app, image: "demo.lifepod.example/demo:v1", imagePullPolicy: POLICY, args: [exit]}
`

// pulls runs a pod that pulls from the registry, with or without its credentials,
// and returns why it waits, "" when it ran, and what the registry was asked for.
func pulls(t *testing.T, n *local.Node, registry *imagetest.Registry, secrets, policy string) (waiting string, asked []string) {
	t.Helper()
	registry.Requests()
	auth := base64.StdEncoding.EncodeToString([]byte("me:word"))
	h := runManifest(t, n, strings.NewReplacer("AUTH", auth, "SECRETS", secrets, "POLICY", policy).Replace(pullPod))
	until(t, h, func(s corev1.PodStatus) bool {
		for _, c := range s.ContainerStatuses {
			if w := c.State.Waiting; w != nil && strings.Contains(w.Reason, "Image") && w.Reason != "ImagePullBackOff" {
				waiting = w.Reason + ": " + w.Message
				return true
			}
		}
		return s.Phase == corev1.PodSucceeded
	})
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	return waiting, registry.Requests()
}

// A private image is there, and stays another's: a pod without the credentials that
// pulled it asks the registry, whatever its policy, and after the node's end too.
func TestPrivateImageIsAnothers(t *testing.T) {
	o, registry := optionsWith(t)
	registry.On("", imagetest.Basic("me", "word"))
	const none, mine = "[]", "[{name: registry}]"
	head := []string{"HEAD /v2/demo/manifests/v1"}
	n := open(t, o)
	defer func() { n.Close() }()
	is := func(what, secrets, policy, want string, requests []string) {
		t.Helper()
		waiting, asked := pulls(t, n, registry, secrets, policy)
		if !strings.Contains(waiting, want) || (waiting == "") != (want == "") {
			t.Errorf("%s: waiting %q, want %q", what, waiting, want)
		}
		if requests != nil && !slices.Equal(slices.Compact(asked), requests) {
			t.Errorf("%s: the registry was asked for %q", what, asked)
		}
	}
	never := `ErrImageNeverPull: Container image "demo.lifepod.example/demo:v1" is not present with pull policy of Never`
	is("absent", none, "IfNotPresent", "ErrImagePull: ", nil)
	is("the first pull", mine, "IfNotPresent", "", nil)
	is("its own, again", mine, "IfNotPresent", "", []string{})
	is("its own, never", mine, "Never", "", []string{})
	is("its own, always: the digest only", mine, "Always", "", head)
	is("another's", none, "IfNotPresent", "ErrImagePull: ", head)
	is("another's, never", none, "Never", never, []string{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	o.VerifyPulls.Mode = pullrecord.NeverVerify
	n = open(t, o)
	is("nobody verifies", none, "Never", "", []string{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	o.VerifyPulls.Mode = ""
	n = open(t, o)
	is("another node's", none, "IfNotPresent", "ErrImagePull: ", head)
	is("another node's, its own", mine, "Never", "", []string{})
	files, err := filepath.Glob(filepath.Join(o.Root, "image_manager", "*", "sha256-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("records %q, %v", files, err)
	}
	if b, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(b), `"demo.lifepod.example/demo":{"kubernetesSecrets":[{`) {
		t.Errorf("record %s, %v", b, err)
	}
}

func TestPullOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]local.Options{
		"Parallel is -3": {Pulls: pacing.Limits{Parallel: -3}},
		`"Sometimes"`:    {VerifyPulls: pullrecord.Policy{Mode: "Sometimes"}},
	} {
		o.CRI, o.Root = &local.CRI{}, t.TempDir()
		if _, err := local.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
