package admission_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/admission"
)

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func mutator(name string, do func(*corev1.Pod) error) admission.Plugin {
	return admission.Plugin{Name: name, Mutate: admission.MutateFunc(func(_ context.Context, r *admission.Request) error {
		return do(r.Object.(*corev1.Pod))
	})}
}

func TestCreateMakesWhatKubernetesStores(t *testing.T) {
	in := pod(func(p *corev1.Pod) {
		p.UID, p.Generation = "mine", 7
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "1.2.3.4"}
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	})
	before := in.DeepCopy()
	res, err := (&admission.Path{Plugins: admission.Default()}).Create(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := admission.Diff(before, in); len(diff) > 0 {
		t.Errorf("the caller's object changed: %v", diff)
	}
	p := res.Object.(*corev1.Pod)
	if p.Namespace != "default" || len(p.UID) != 36 || p.CreationTimestamp.IsZero() || p.Generation != 1 {
		t.Errorf("metadata %+v", p.ObjectMeta)
	}
	c := p.Status.Conditions
	if p.Status.Phase != corev1.PodPending || p.Status.PodIP != "" || p.Status.QOSClass != corev1.PodQOSBestEffort ||
		len(c) != 1 || c[0].Reason != corev1.PodReasonSchedulingGated {
		t.Errorf("status %+v", p.Status)
	}
	if p.Spec.Containers[0].ImagePullPolicy != corev1.PullAlways {
		t.Error("not defaulted")
	}
}

// Mutators run in order, each sees what those before it did, defaulted; validators
// see the last state.
func TestOrder(t *testing.T) {
	var seen []string
	plugins := []admission.Plugin{
		{Name: "check", Validate: admission.ValidateFunc(func(_ context.Context, r *admission.Request) error {
			seen = append(seen, "check:"+r.Object.GetLabels()["a"]+r.Object.GetLabels()["b"])
			return nil
		})},
		mutator("a", func(p *corev1.Pod) error {
			p.Labels = map[string]string{"a": "1"}
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "added", Image: "x:1"})
			return nil
		}),
		mutator("b", func(p *corev1.Pod) error {
			seen = append(seen, "b:"+p.Labels["a"]+string(p.Spec.Containers[1].ImagePullPolicy))
			p.Labels["b"] = "2"
			return nil
		}),
	}
	res, err := (&admission.Path{Plugins: plugins, Explain: true}).Create(t.Context(), pod())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"b:1IfNotPresent", "check:12"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
	var told []string
	for _, s := range res.Steps {
		if s.Phase == admission.Mutating {
			for _, c := range s.Changes {
				told = append(told, s.Plugin+" "+c.Path)
			}
		}
	}
	if want := []string{"a metadata.labels[a]", "a spec.containers", "b metadata.labels[b]"}; !slices.Equal(told, want) {
		t.Errorf("explained %q, want %q", told, want)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		path admission.Path
		pod  *corev1.Pod
		is   func(error) bool
		want string
	}{
		"a mutator says no": {admission.Path{Plugins: []admission.Plugin{mutator("no", func(*corev1.Pod) error { return errors.New("not on Sundays") })}},
			pod(), apierrors.IsForbidden, `pods "web" is forbidden: not on Sundays`},
		"with an error of its own": {admission.Path{Plugins: []admission.Plugin{mutator("no", func(*corev1.Pod) error { return apierrors.NewTooManyRequests("slowly", 3) })}},
			pod(), apierrors.IsTooManyRequests, `slowly`},
		"a validator finds fields": {admission.Path{Plugins: []admission.Plugin{{Name: "v", Validate: admission.ValidateFunc(func(context.Context, *admission.Request) error {
			return &admission.InvalidError{Fields: field.ErrorList{field.Required(field.NewPath("spec", "a"), "x"), field.Forbidden(field.NewPath("spec", "b"), "y")}}
		})}}}, pod(), apierrors.IsInvalid, `Pod "web" is invalid: [spec.a: Required value: x, spec.b: Forbidden: y]`},
		"validation": {admission.Path{Plugins: admission.Default()}, pod(func(p *corev1.Pod) { p.Spec.Containers = nil }),
			apierrors.IsInvalid, `Pod "web" is invalid: spec.containers: Required value`},
		"a field that is off": {admission.Path{}, pod(func(p *corev1.Pod) {
			p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{StopSignal: ptr.To(corev1.SIGTERM)}
		}), apierrors.IsInvalid, `Pod "web" is invalid: spec.containers[0].lifecycle.stopSignal: Forbidden: its feature is off in Kubernetes 1.37`},
		"storing": {admission.Path{Store: func(context.Context, admission.Object) (admission.Object, error) {
			return nil, apierrors.NewAlreadyExists(corev1.Resource("pods"), "web")
		}}, pod(), apierrors.IsAlreadyExists, `pods "web" already exists`},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := tc.path.Create(t.Context(), tc.pod)
			if err == nil || err.Error() != tc.want || !tc.is(err) {
				t.Fatalf("got  %v\nwant %s", err, tc.want)
			}
			if last := res.Steps[len(res.Steps)-1]; last.Err == nil || res.Object != nil {
				t.Errorf("the last step %+v does not tell", last)
			}
		})
	}
}

// Of a volume with several sources, and of a projection, the first in the order
// below loses its users; an emptyDir loses its mode whatever is beside it.
func TestDropsOfOddVolumes(t *testing.T) {
	one := ptr.To(int64(1))
	keys := func() []corev1.KeyToPath { return []corev1.KeyToPath{{Key: "k", Path: "k", User: one}} }
	p := pod(func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{Mode: ptr.To(int32(0o700))},
				Secret:   &corev1.SecretVolumeSource{DefaultUser: one},
			}},
			{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
				ConfigMap:   &corev1.ConfigMapProjection{Items: keys()},
				DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "d", User: one}}},
			}}}}},
		}
	})
	got := admission.PrepareForCreate(p)
	want := []string{
		"spec.volumes[0].emptyDir.mode", "spec.volumes[0].secret.defaultUser",
		"spec.volumes[1].projected.sources[0].downwardAPI.items[0].user",
	}
	if !slices.Equal(got, want) {
		t.Errorf("dropped %q, want %q", got, want)
	}
}

func TestLenientDropsWithWarning(t *testing.T) {
	in := pod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{StopSignal: ptr.To(corev1.SIGTERM)}
	})
	res, err := (&admission.Path{Lenient: true}).Create(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Warnings) != 1 || !strings.HasPrefix(res.Warnings[0], "spec.containers[0].lifecycle.stopSignal: dropped") ||
		res.Object.(*corev1.Pod).Spec.Containers[0].Lifecycle != nil {
		t.Errorf("warnings %q, %+v", res.Warnings, res.Object)
	}
}

// A generated name that is taken is made anew, eight times.
func TestGeneratedNames(t *testing.T) {
	tries := 0
	names := map[string]bool{}
	path := admission.Path{Store: func(_ context.Context, obj admission.Object) (admission.Object, error) {
		tries++
		names[obj.GetName()] = true
		if tries%4 != 0 && tries < 9 {
			return nil, apierrors.NewAlreadyExists(corev1.Resource("pods"), obj.GetName())
		}
		return obj, nil
	}}
	in := pod(func(p *corev1.Pod) { p.Name, p.GenerateName = "", "web-" })
	if _, err := path.Create(t.Context(), in); err != nil || tries != 4 || len(names) != 4 {
		t.Errorf("%d tries with %d names: %v", tries, len(names), err)
	}
}

func BenchmarkDefaultAndValidate(b *testing.B) {
	objs, err := admission.Decode(web(b))
	if err != nil {
		b.Fatal(err)
	}
	path := admission.Path{Plugins: admission.Default()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := path.Create(b.Context(), objs[1]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data := web(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := admission.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// A caller who gave up was not refused.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := admission.Path{Store: func(ctx context.Context, _ admission.Object) (admission.Object, error) { return nil, ctx.Err() }}
	if _, err := path.Create(ctx, pod()); !errors.Is(err, context.Canceled) {
		t.Errorf("a create that was cancelled: %v", err)
	}
}
