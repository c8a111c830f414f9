package volumetest

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/volume"
)

// Impl is an implementation under test.
type Impl struct {
	Volumes Volumes
	// Read returns the files that containers see in the volume at path.
	Read func(t *testing.T, path string) map[string]string
	// Dir makes the directory of another pod.
	Dir func(t *testing.T) string
}

// Pod is a pod with volumes, as a server would have defaulted it.
func Pod(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "0a1b", Labels: map[string]string{"app": "web", "tier": "front"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "web"}}, Volumes: volumes},
	}
}

func mode() *int32 { m := int32(0o644); return &m }

// EmptyDir, HostPath, ConfigMap, Secret, Downward and Projected make volumes that
// are named after themselves.
func EmptyDir(name string, medium corev1.StorageMedium) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: medium}}}
}

// HostPath is the volume at path, of no type.
func HostPath(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
}

// ConfigMap holds the configMap of its own name.
func ConfigMap(name string, optional bool) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, DefaultMode: mode(), Optional: &optional,
	}}}
}

// Secret holds the secret of its own name.
func Secret(name string, optional bool) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: name, DefaultMode: mode(), Optional: &optional,
	}}}
}

// Downward holds the pod's labels in a file of that name.
func Downward(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		DefaultMode: mode(), Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels"}}},
	}}}
}

// Projected puts the configMap and the secret of its name over one another.
func Projected(name string) corev1.Volume {
	ref := corev1.LocalObjectReference{Name: name}
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: mode(), Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: ref}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: ref, Items: []corev1.KeyToPath{{Key: "key", Path: "deep/key"}}}},
		},
	}}}
}

// Run checks that an implementation does what volume.Manager promises.
func Run(t *testing.T, newImpl func(t *testing.T) Impl) {
	for name, test := range map[string]func(t *testing.T, i Impl){
		"every type at once": everyType, "what is absent fails alone": absentFails, "update": update,
		"subPath": subPath, "two pods do not meet": twoPods, "tear down": tearDown,
	} {
		t.Run(name, func(t *testing.T) { test(t, newImpl(t)) })
	}
}

func (i Impl) setUp(t *testing.T, r volume.Request) map[string]volume.Mounted {
	t.Helper()
	out, err := i.Volumes.SetUp(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (i Impl) holds(t *testing.T, m volume.Mounted, want map[string]string) {
	t.Helper()
	if got := i.Read(t, m.Path); !maps.Equal(got, want) {
		t.Errorf("volume %s holds %v, want %v", m.Name, got, want)
	}
}

func everyType(t *testing.T, i Impl) {
	objects := &Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "1", "b": ""})
	objects.SetSecret("cred", map[string][]byte{"pw": []byte("\xff\x00")})
	objects.SetSecret("both", map[string][]byte{"key": []byte("hidden"), "other": nil})
	objects.SetConfigMap("both", map[string]string{"key": "shown"})
	host := i.Dir(t)
	pod := Pod(EmptyDir("scratch", ""), EmptyDir("fast", corev1.StorageMediumMemory), HostPath("host", host), corev1.Volume{Name: "bare"},
		ConfigMap("conf", false), Secret("cred", false), Downward("self"), Projected("both"))
	r := volume.Request{Pod: pod, Dir: i.Dir(t), Objects: objects}
	first := i.setUp(t, r)
	if len(first) != len(pod.Spec.Volumes) {
		t.Fatalf("%d volumes are ready, want %d", len(first), len(pod.Spec.Volumes))
	}
	for name, readOnly := range map[string]bool{"scratch": false, "fast": false, "host": false, "bare": false, "conf": true, "cred": true, "self": true, "both": true} {
		if m := first[name]; m.Name != name || m.ReadOnly != readOnly || m.Path == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if first["host"].Path != host {
		t.Errorf("the host path is %s, want %s", first["host"].Path, host)
	}
	check := func() {
		t.Helper()
		i.holds(t, first["scratch"], map[string]string{})
		i.holds(t, first["conf"], map[string]string{"a": "1", "b": ""})
		i.holds(t, first["cred"], map[string]string{"pw": "\xff\x00"})
		i.holds(t, first["self"], map[string]string{"labels": "app=\"web\"\ntier=\"front\""})
		i.holds(t, first["both"], map[string]string{"key": "shown", "deep/key": "hidden"})
	}
	check()
	if again := i.setUp(t, r); !maps.Equal(again, first) {
		t.Errorf("set up again: %v, want %v", again, first)
	}
	check()
}

func absentFails(t *testing.T, i Impl) {
	objects := &Objects{}
	r := volume.Request{Pod: Pod(ConfigMap("conf", false), EmptyDir("scratch", ""), Secret("cred", false), ConfigMap("maybe", true)), Dir: i.Dir(t), Objects: objects}
	out, err := i.Volumes.SetUp(t.Context(), r)
	want := "MountVolume.SetUp failed for volume \"conf\" : configmap \"conf\" not found\n" +
		"MountVolume.SetUp failed for volume \"cred\" : secret \"cred\" not found"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if each := volume.Errors(err); len(each) != 2 || each[0].Volume != "conf" || each[1].Volume != "cred" || each[0].Reason() != "FailedMount" {
		t.Errorf("errors: %v", each)
	}
	if names := slices.Sorted(maps.Keys(out)); !slices.Equal(names, []string{"maybe", "scratch"}) {
		t.Errorf("ready are %v: a volume that fails must not hold up the others", names)
	}
	i.holds(t, out["maybe"], map[string]string{})
	objects.SetConfigMap("conf", map[string]string{"a": "1"})
	objects.SetSecret("cred", map[string][]byte{"b": []byte("2")})
	out = i.setUp(t, r)
	i.holds(t, out["conf"], map[string]string{"a": "1"})
	i.holds(t, out["cred"], map[string]string{"b": "2"})
}

func update(t *testing.T, i Impl) {
	objects := &Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "1", "b": "2"})
	objects.SetSecret("cred", map[string][]byte{"pw": []byte("x")})
	r := volume.Request{Pod: Pod(ConfigMap("conf", false), Secret("cred", false), EmptyDir("scratch", ""), Downward("self"), ConfigMap("maybe", true)), Dir: i.Dir(t), Objects: objects}
	if changed, err := i.Volumes.Update(t.Context(), r); len(changed) != 0 || err != nil {
		t.Errorf("before SetUp: %v %v: what is not there cannot change", changed, err)
	}
	out := i.setUp(t, r)
	step := func(what string, want ...string) {
		t.Helper()
		changed, err := i.Volumes.Update(t.Context(), r)
		if err != nil || !slices.Equal(changed, want) {
			t.Errorf("%s: changed %v (%v), want %v", what, changed, err, want)
		}
	}
	step("nothing new")
	objects.SetConfigMap("conf", map[string]string{"a": "1", "c": "3"})
	objects.SetConfigMap("maybe", map[string]string{"d": "4"})
	step("new content", "conf", "maybe")
	i.holds(t, out["conf"], map[string]string{"a": "1", "c": "3"})
	i.holds(t, out["maybe"], map[string]string{"d": "4"})
	r.Pod.Labels = map[string]string{"app": "api"}
	step("new labels", "self")
	objects.SetSecret("cred", nil)
	if _, err := i.Volumes.Update(t.Context(), r); err == nil || len(volume.Errors(err)) != 1 {
		t.Errorf("a secret is gone: %v", err)
	}
	i.holds(t, out["cred"], map[string]string{"pw": "x"})
}

func subPath(t *testing.T, i Impl) {
	r := volume.Request{Pod: Pod(EmptyDir("scratch", "")), Dir: i.Dir(t)}
	out := i.setUp(t, r)
	req := volume.SubPathRequest{Dir: r.Dir, Volume: out["scratch"], SubPath: "a/b", Container: "app", Index: 1}
	first, err := i.Volumes.SubPath(t.Context(), req)
	if err != nil || first == "" {
		t.Fatal(err)
	}
	if again, err := i.Volumes.SubPath(t.Context(), req); again != first || err != nil {
		t.Errorf("again: %s %v, want %s", again, err, first)
	}
	req.Index = 2
	if other, err := i.Volumes.SubPath(t.Context(), req); other == first || err != nil {
		t.Errorf("another mount: %s %v", other, err)
	}
	req.Volume.Path += "-not"
	_, err = i.Volumes.SubPath(t.Context(), req)
	var reason interface{ Reason() string }
	if err == nil || err.Error() != `failed to prepare subPath for volumeMount "scratch" of container "app"` ||
		!errors.As(err, &reason) || reason.Reason() != "CreateContainerConfigError" {
		t.Errorf("of no volume: %v", err)
	}
	if err := i.Volumes.TearDown(t.Context(), r.Dir); err != nil {
		t.Error(err)
	}
}

func twoPods(t *testing.T, i Impl) {
	var dirs []string
	var paths []string
	for n, content := range []string{"one", "two"} {
		objects := &Objects{}
		objects.SetConfigMap("conf", map[string]string{"who": content})
		dirs = append(dirs, i.Dir(t))
		out := i.setUp(t, volume.Request{Pod: Pod(ConfigMap("conf", false)), Dir: dirs[n], Objects: objects})
		paths = append(paths, out["conf"].Path)
	}
	if err := i.Volumes.TearDown(t.Context(), dirs[0]); err != nil {
		t.Fatal(err)
	}
	i.holds(t, volume.Mounted{Name: "conf", Path: paths[1]}, map[string]string{"who": "two"})
}

func tearDown(t *testing.T, i Impl) {
	objects := &Objects{}
	objects.SetSecret("cred", map[string][]byte{"pw": []byte("x")})
	r := volume.Request{Pod: Pod(Secret("cred", false), EmptyDir("scratch", ""), EmptyDir("fast", corev1.StorageMediumMemory)), Dir: i.Dir(t), Objects: objects}
	if err := i.Volumes.TearDown(t.Context(), filepath.Join(r.Dir, "never")); err != nil {
		t.Errorf("of a pod that never was: %v", err)
	}
	if err := i.Volumes.TearDown(t.Context(), r.Dir); err != nil {
		t.Errorf("before SetUp: %v", err)
	}
	for range 2 {
		i.setUp(t, r)
		for range 2 {
			if err := i.Volumes.TearDown(t.Context(), r.Dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if list, err := os.ReadDir(r.Dir); err == nil && len(list) > 0 {
		t.Errorf("left in the pod's directory: %v", list)
	}
}
