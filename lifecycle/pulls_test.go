package lifecycle_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/pacing"
	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/image/pullrecord/pullrecordtest"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

// registry is a runtime's image service before a registry that lets in who has the
// password. Images are there once they were pulled, or loaded.
type registry struct {
	password string
	takes    time.Duration
	err      string
	reason   string // of err, by a method

	mu     sync.Mutex
	there  map[string]bool
	pulled int
}

func (r *registry) ImageStatus(_ context.Context, spec *runtimeapi.ImageSpec, _ bool) (*runtimeapi.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := strings.TrimPrefix(spec.GetImage(), "id of ")
	if !r.there[name] {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: &runtimeapi.Image{Id: "id of " + name, Size: 7}}, nil
}

func (r *registry) PullImage(ctx context.Context, spec *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulled++
	switch {
	case r.err != "" && r.reason != "":
		return "", reasoned{r.err, r.reason}
	case r.err != "":
		return "", status.Error(codes.Unknown, r.err)
	case auth.GetPassword() != r.password:
		return "", status.Errorf(codes.Unknown, "%q is no password", auth.GetPassword())
	}
	r.load(spec.GetImage())
	return "id of " + spec.GetImage(), nil
}

type reasoned struct{ text, reason string }

func (r reasoned) Error() string  { return r.text }
func (r reasoned) Reason() string { return r.reason }

func (r *registry) load(image string) {
	if r.there == nil {
		r.there = map[string]bool{}
	}
	r.there[image] = true
}

// pulls is how many there were since it was last asked.
func (r *registry) pulls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.pulled = 0 }()
	return r.pulled
}

// secrets holds pull secrets by namespace/name.
type secrets map[string]*corev1.Secret

func (s secrets) ConfigMap(context.Context, string, string) (*corev1.ConfigMap, error) {
	return nil, errors.New("none")
}

func (s secrets) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	switch found := s[namespace+"/"+name]; {
	case name == "broken":
		return nil, errors.New("the API server is not there")
	case found == nil:
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	default:
		return found, nil
	}
}

func (s secrets) add(namespace, name, uid, password string) {
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	s[namespace+"/"+name] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid)}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example":{"auth":"` + auth + `"}}}`)},
	}
}

const private = "registry.example/app:1"

// wanting is a pod of one container.
func wanting(namespace, name, image string, p corev1.PullPolicy, pullSecrets ...string) *corev1.Pod {
	grace, links := int64(5), true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: types.UID("uid of " + name), Generation: 1},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways, SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: &links,
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "app", Image: image, ImagePullPolicy: p}},
		},
	}
	for _, s := range pullSecrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	return pod
}

// pulling is a runner before a registry.
type pulling struct {
	*lifecycletest.Node
	t        *testing.T
	registry *registry
	secrets  secrets
	records  *pullrecordtest.Fake
}

func newPulling(t *testing.T, change ...func(*lifecycle.Options)) *pulling {
	t.Helper()
	p := &pulling{t: t, registry: &registry{}, secrets: secrets{}, records: &pullrecordtest.Fake{}}
	p.Node = lifecycletest.New(t, nil, append([]func(*lifecycle.Options){func(o *lifecycle.Options) {
		o.Images, o.Objects, o.PullRecords = p.registry, p.secrets, p.records
	}}, change...)...)
	return p
}

// state is what the pod has come to a moment after it was started.
func (p *pulling) state(pod *corev1.Pod) string {
	p.t.Helper()
	if err := p.Start(pod); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(time.Second)
	return p.now(pod.Name)
}

func (p *pulling) now(pod string) string {
	switch st := p.Last(pod).ContainerStatuses[0].State; {
	case st.Running != nil:
		return "running"
	case st.Waiting != nil:
		return st.Waiting.Reason + ": " + st.Waiting.Message
	}
	return "ended"
}

func (p *pulling) said(pod string) []string {
	var all []string
	for _, e := range p.Events(pod) {
		all = append(all, e.Reason+": "+e.Message)
	}
	return all
}

func (p *pulling) record(image string) *pullrecord.Record {
	p.t.Helper()
	r, err := p.records.Get("id of " + image)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

const (
	refused   = `ImagePullBackOff: Back-off pulling image "registry.example/app:1": ErrImagePull: %q is no password`
	neverPull = `ErrImageNeverPull: Container image "registry.example/app:1" is not present with pull policy of Never`
)

// A private image that is there is for those who have shown its credentials; all
// others ask the registry, or with Never are told that it is not there.
func TestPrivateImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t)
		p.registry.password = "word"
		p.secrets.add("a", "mine", "1", "word")
		p.secrets.add("b", "copy", "2", "word")
		p.secrets.add("b", "wrong", "3", "sword")
		p.secrets.add("c", "mine", "4", "sword")
		for i, step := range []struct {
			pod   *corev1.Pod
			want  string
			pulls int
		}{
			{wanting("a", "never first", private, corev1.PullNever, "mine"), neverPull, 0},
			{wanting("a", "first", private, corev1.PullIfNotPresent, "mine"), "running", 1},
			{wanting("a", "again", private, corev1.PullIfNotPresent, "mine"), "running", 0},
			{wanting("a", "always", private, corev1.PullAlways, "mine"), "running", 1},
			{wanting("a", "never, with the secret", private, corev1.PullNever, "mine"), "running", 0},
			{wanting("a", "without", private, corev1.PullIfNotPresent), fmt.Sprintf(refused, ""), 1},
			{wanting("a", "never, without", private, corev1.PullNever), neverPull, 0},
			{wanting("b", "with the wrong one", private, corev1.PullIfNotPresent, "wrong"), fmt.Sprintf(refused, "sword"), 1},
			{wanting("c", "of the same name elsewhere", private, corev1.PullIfNotPresent, "mine"), fmt.Sprintf(refused, "sword"), 1},
			{wanting("b", "with a copy", private, corev1.PullNever, "wrong", "copy"), "running", 0},
			{wanting("a", "another name", "registry.example/app@sha256:"+strings.Repeat("a", 64), corev1.PullNever), `ErrImageNeverPull: Container image "registry.example/app@sha256:` + strings.Repeat("a", 64) + `" is not present with pull policy of Never`, 0},
		} {
			if got := p.state(step.pod); got != step.want {
				t.Errorf("%d, %s: %s, want %s", i, step.pod.Name, got, step.want)
			}
			if n := p.registry.pulls(); n != step.pulls {
				t.Errorf("%d, %s: %d pulls, want %d", i, step.pod.Name, n, step.pulls)
			}
		}
		var on []string
		for _, s := range p.record(private).Credentials["registry.example/app"].Secrets {
			on = append(on, s.Namespace+"/"+s.Name+"/"+s.UID)
		}
		if want := []string{"a/mine/1", "b/copy/2"}; !slices.Equal(on, want) {
			t.Errorf("on record: %q, want %q", on, want)
		}
		if intended, err := p.records.Intended(private); intended || err != nil {
			t.Errorf("an intent is left: %v", err)
		}
		p.secrets.add("a", "mine", "1", "changed") // the secret that pulled it is trusted, whatever it holds now
		if got := p.state(wanting("a", "rotated", private, corev1.PullNever, "mine")); got != "running" {
			t.Errorf("with a rotated secret: %s", got)
		}
	})
}

// What came without credentials, or with the node's, or otherwise than by a pod, is
// everyone's; with AlwaysVerify the last is not.
func TestEveryonesImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t)
		if got := p.state(wanting("a", "first", private, corev1.PullIfNotPresent)); got != "running" {
			t.Fatal(got)
		}
		if c := p.record(private).Credentials["registry.example/app"]; !c.Everyone {
			t.Errorf("record %+v", c)
		}
		if got := p.state(wanting("b", "second", private, corev1.PullNever)); got != "running" {
			t.Error(got)
		}
		p.registry.load("registry.example/loaded:1")
		if got := p.state(wanting("b", "third", "registry.example/loaded:1", corev1.PullNever)); got != "running" {
			t.Error(got)
		}
	})
	for mode, want := range map[pullrecord.Mode]string{
		pullrecord.AlwaysVerify: neverPull, pullrecord.NeverVerifyPreloadedImages: "running", pullrecord.NeverVerify: "running",
		pullrecord.NeverVerifyAllowlistedImages: neverPull,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPulling(t, func(o *lifecycle.Options) { o.VerifyPulls.Mode = mode })
			p.registry.load(private)
			if got := p.state(wanting("a", "pod", private, corev1.PullNever)); got != want {
				t.Errorf("%s: %s", mode, got)
			}
		})
	}
}

// What a runner before this one left: an image whose pull it did not write down
// is nobody's; images that are gone are forgotten.
func TestLeftRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		images, records := &registry{password: "word"}, &pullrecordtest.Fake{}
		images.load(private)
		records.Abandon(private)
		records.Abandon("registry.example/absent:1")
		if err := records.Update("id of gone", func(*pullrecord.Record) *pullrecord.Record {
			return &pullrecord.Record{ImageRef: "id of gone"}
		}); err != nil {
			t.Fatal(err)
		}
		p := newPulling(t, func(o *lifecycle.Options) { o.Images, o.PullRecords = images, records })
		p.registry, p.records = images, records
		synctest.Wait()
		if left, err := records.Unfinished(); len(left) != 1 || left[0] != "registry.example/absent:1" {
			t.Errorf("unfinished: %q, %v", left, err)
		}
		if refs, err := records.Refs(); len(refs) != 1 || refs[0] != "id of "+private {
			t.Errorf("on record: %q, %v", refs, err)
		}
		if got := p.state(wanting("a", "pod", private, corev1.PullNever)); got != neverPull {
			t.Errorf("got %s", got)
		}
		images.mu.Lock()
		images.there = nil
		images.mu.Unlock()
		if err := p.PrunePullRecords(t.Context()); err != nil {
			t.Error(err)
		}
		if refs, err := records.Refs(); len(refs) > 0 || err != nil {
			t.Errorf("after the images: %q, %v", refs, err)
		}
	})
}

// Records that cannot be read or written: nobody uses an image by them, and a pull
// says why it is not done.
func TestBrokenRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t)
		p.records.Fail(errors.New("disk is gone"))
		p.registry.load(private)
		want := `ImagePullBackOff: Back-off pulling image "registry.example/app:1": ErrImagePull: Failed to record image pull intent for container image "registry.example/app:1": disk is gone`
		if got := p.state(wanting("a", "pod", private, corev1.PullIfNotPresent)); got != want {
			t.Errorf("got %s", got)
		}
		if got := p.state(wanting("a", "never", private, corev1.PullNever)); got != neverPull {
			t.Errorf("got %s", got)
		}
	})
}

// Missing pull secrets are told of after a pull that failed for them, and only then.
func TestMissingSecrets(t *testing.T) {
	const missing = "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (gone, broken); attempting to pull the image may not succeed."
	for name, c := range map[string]struct {
		err  string
		told bool
	}{
		"the pull goes well": {"", false},
		"it fails":           {"no way in", true},
		"no registry":        {"RegistryUnavailable: down", false}, // the kubelet looks for ErrImagePull alone
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPulling(t)
			p.registry.err = c.err
			p.state(wanting("a", "pod", private, corev1.PullIfNotPresent, "gone", "", "broken"))
			said := p.said("pod")
			at := slices.Index(said, missing)
			if c.told != (at >= 0) {
				t.Errorf("%s: %q", name, said)
			}
			if c.told && (said[at-1] != "Failed: Error: ErrImagePull" || p.Events("pod")[at].FieldPath != "") {
				t.Errorf("%s: %q comes before it", name, said[at-1])
			}
		})
	}
}

// Several credentials that are all refused read as the kubelet joins them.
func TestAllRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t)
		p.registry.password = "word"
		p.secrets.add("a", "one", "1", "x")
		p.secrets.add("a", "two", "2", "y")
		p.secrets.add("a", "three", "3", "y")
		p.state(wanting("a", "pod", private, corev1.PullIfNotPresent, "one", "two", "three"))
		want := `Failed: Failed to pull image "registry.example/app:1": ["x" is no password, "y" is no password]`
		if said := p.said("pod"); !slices.Contains(said, want) {
			t.Errorf("said %q", said)
		}
	})
}

// The reason of a pull's error is shown, by whatever way the runtime gives it, and
// however many credentials were tried.
func TestPullReasons(t *testing.T) {
	for _, c := range []struct{ err, reason, want string }{
		{"no way in", "", "ErrImagePull: no way in"},
		{"RegistryUnavailable: no route", "", "RegistryUnavailable: image pull failed for registry.example/app:1 because the registry is unavailable: no route"},
		{"no route", "RegistryUnavailable", "RegistryUnavailable: image pull failed for registry.example/app:1 because the registry is unavailable: no route"},
		{"SignatureValidationFailed: nobody's", "", "SignatureValidationFailed: image pull failed for registry.example/app:1 because the signature validation failed: nobody's"},
		{"nobody's", "SignatureValidationFailed", "SignatureValidationFailed: image pull failed for registry.example/app:1 because the signature validation failed: nobody's"},
	} {
		for _, tries := range [][]string{nil, {"one"}, {"one", "two"}} {
			synctest.Test(t, func(t *testing.T) {
				p := newPulling(t)
				p.registry.err, p.registry.reason = c.err, c.reason
				p.secrets.add("a", "one", "1", "x")
				p.secrets.add("a", "two", "2", "y")
				got := p.state(wanting("a", "pod", private, corev1.PullIfNotPresent, tries...))
				if want := `ImagePullBackOff: Back-off pulling image "registry.example/app:1": ` + c.want; got != want {
					t.Errorf("%+v, %d tries: %s", c, len(tries), got)
				}
				if n := p.registry.pulls(); n != max(1, len(tries)) {
					t.Errorf("%d pulls with %d credentials", n, len(tries))
				}
			})
		}
	}
}

// Pulls are done one after another by default, and say how long they waited. A pod
// that is deleted gives its place to the next.
func TestPullsWaitInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t)
		p.registry.takes = 3 * time.Second
		began := time.Now()
		for i, name := range []string{"first", "second", "third"} {
			if err := p.Start(wanting("a", name, fmt.Sprintf("registry.example/%s:1", name), corev1.PullIfNotPresent)); err != nil {
				t.Fatal(i, err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if err := p.Delete("uid of second", nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context(), "uid of second"); err != nil || time.Since(began) != time.Second {
			t.Errorf("gone after %v: %v", time.Since(began), err)
		}
		time.Sleep(9 * time.Second)
		for name, want := range map[string]string{
			"first": `Pulled: Successfully pulled image "registry.example/first:1" in 3s (3s including waiting). Image size: 7 bytes.`,
			"third": `Pulled: Successfully pulled image "registry.example/third:1" in 3s (6s including waiting). Image size: 7 bytes.`,
		} {
			if said := p.said(name); !slices.Contains(said, want) {
				t.Errorf("%s said %q", name, said)
			}
		}
		if n := p.registry.pulls(); n != 2 {
			t.Errorf("%d pulls", n)
		}
	})
}

func TestPullsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t, func(o *lifecycle.Options) { o.Pulls = pacing.Limits{QPS: -1, Parallel: 40} })
		p.registry.takes = 3 * time.Second
		for i := range 40 {
			if err := p.Start(wanting("a", fmt.Sprint(i), fmt.Sprintf("registry.example/%d:1", i), corev1.PullIfNotPresent)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3500 * time.Millisecond)
		for i := range 40 {
			if got := p.now(fmt.Sprint(i)); got != "running" {
				t.Fatalf("%d: %s", i, got)
			}
		}
	})
}

// A pull beyond the rate fails as one that the registry refuses: it is backed off.
func TestPullRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulling(t, func(o *lifecycle.Options) { o.Pulls = pacing.Limits{QPS: 1, Burst: 1} })
		if got := p.state(wanting("a", "first", "registry.example/first:1", corev1.PullAlways)); got != "running" {
			t.Fatal(got)
		}
		for _, name := range []string{"second", "third"} {
			if err := p.Start(wanting("a", name, private, corev1.PullAlways)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if got, want := p.now("third"), `ImagePullBackOff: Back-off pulling image "registry.example/app:1": ErrImagePull: pull QPS exceeded`; got != want {
			t.Errorf("got %s", got)
		}
		want := []string{
			`Pulling: Pulling image "registry.example/app:1"`,
			`Failed: Failed to pull image "registry.example/app:1": pull QPS exceeded`,
			`Failed: Error: ErrImagePull`,
		}
		if said := p.said("third"); len(said) < 3 || !slices.Equal(said[:3], want) {
			t.Errorf("said %q", said)
		}
		time.Sleep(10 * time.Second)
		if got := p.now("third"); got != "running" {
			t.Errorf("after the backoff: %s", got)
		}
		if n := p.registry.pulls(); n != 3 {
			t.Errorf("%d pulls", n)
		}
	})
}

func TestBadPullOptions(t *testing.T) {
	for want, o := range map[string]lifecycle.Options{
		"Burst is -1":    {Pulls: pacing.Limits{Burst: -1}},
		`"Sometimes"`:    {VerifyPulls: pullrecord.Policy{Mode: "Sometimes"}},
		"an allowlist":   {VerifyPulls: pullrecord.Policy{Allowlist: []string{"a.io/x"}}},
		"trailing space": {VerifyPulls: pullrecord.Policy{Mode: pullrecord.NeverVerifyAllowlistedImages, Allowlist: []string{"a.io/x "}}},
	} {
		o.Runtime, o.Images, o.Volumes, o.Dir = &lifecycletest.Runtime{}, &registry{}, lifecycletest.NoVolumes{}, t.TempDir()
		if _, err := lifecycle.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
