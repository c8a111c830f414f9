package volume

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// supported are the sources, and their fields, that the Manager honours; what is
// in neither table fails the test.
var supported = []string{
	"hostPath.path", "hostPath.type", "emptyDir.medium", "emptyDir.sizeLimit",
	"secret.secretName", "secret.items[].key", "secret.items[].path", "secret.items[].mode", "secret.defaultMode", "secret.optional",
	"configMap.name", "configMap.items[].key", "configMap.items[].path", "configMap.items[].mode", "configMap.defaultMode", "configMap.optional",
	"downwardAPI.items[].path", "downwardAPI.items[].fieldRef", "downwardAPI.items[].resourceFieldRef", "downwardAPI.items[].mode", "downwardAPI.defaultMode",
	"projected.defaultMode", "projected.sources[].secret.name", "projected.sources[].secret.items[].key", "projected.sources[].secret.items[].path",
	"projected.sources[].secret.items[].mode", "projected.sources[].secret.optional", "projected.sources[].configMap.name",
	"projected.sources[].configMap.items[].key", "projected.sources[].configMap.items[].path", "projected.sources[].configMap.items[].mode",
	"projected.sources[].configMap.optional", "projected.sources[].downwardAPI.items[].path", "projected.sources[].downwardAPI.items[].fieldRef",
	"projected.sources[].downwardAPI.items[].resourceFieldRef", "projected.sources[].downwardAPI.items[].mode",
	"projected.sources[].serviceAccountToken.audience", "projected.sources[].serviceAccountToken.expirationSeconds", "projected.sources[].serviceAccountToken.path",
}

var refusedFields = []string{
	"emptyDir.mode", "secret.items[].user", "secret.defaultUser", "configMap.items[].user", "configMap.defaultUser", "downwardAPI.items[].user",
	"downwardAPI.defaultUser", "projected.defaultUser", "projected.sources[].secret.items[].user", "projected.sources[].configMap.items[].user",
	"projected.sources[].downwardAPI.items[].user", "projected.sources[].serviceAccountToken.user", "projected.sources[].clusterTrustBundle",
	"projected.sources[].podCertificate",
	"gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "persistentVolumeClaim", "rbd", "flexVolume", "cinder", "cephfs",
	"flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos", "csi",
	"ephemeral", "image",
}

// visit calls leaf with every field that a table names, or that is no struct,
// and with what makes it exist in a volume.
func visit(t reflect.Type, path string, at func() reflect.Value, leaf func(path string, at func() reflect.Value)) {
	if slices.Contains(supported, path) || slices.Contains(refusedFields, path) {
		leaf(path, at)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		visit(t.Elem(), path, func() reflect.Value {
			v := at()
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		}, leaf)
	case reflect.Slice:
		visit(t.Elem(), path+"[]", func() reflect.Value {
			v := at()
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		}, leaf)
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			next := strings.TrimPrefix(path+"."+name, ".")
			if name == "" {
				next = path
			}
			visit(t.Field(i).Type, next, func() reflect.Value { return at().Field(i) }, leaf)
		}
	default:
		leaf(path, at)
	}
}

func TestEverySourceIsHonouredOrRefused(t *testing.T) {
	var pod *corev1.Pod
	at := func() reflect.Value { return reflect.ValueOf(&pod.Spec.Volumes[0].VolumeSource).Elem() }
	m, seen := New(Options{}), map[string]bool{}
	visit(reflect.TypeFor[corev1.VolumeSource](), "", at, func(path string, at func() reflect.Value) {
		seen[path] = true
		no := slices.Contains(refusedFields, path)
		if no == slices.Contains(supported, path) {
			t.Errorf("%s: in both tables or in none: honour it, or refuse it by name", path)
		}
		pod = &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v"}}}}
		if v := at(); v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
		}
		var got, want []string
		for _, e := range m.Refused(pod, true) {
			got = append(got, e.Field)
		}
		switch {
		case path == "emptyDir.sizeLimit":
			want = []string{"spec.volumes[0].emptyDir.sizeLimit"} // on disk, that is
		case no:
			want = []string{"spec.volumes[0]." + strings.ReplaceAll(path, "[]", "[0]")}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s set: refused %v, want %v", path, got, want)
		}
	})
	for _, path := range slices.Concat(supported, refusedFields) {
		if !seen[path] {
			t.Errorf("there is no field %s", path)
		}
	}
}

func TestRefusedByValue(t *testing.T) {
	size := resource.MustParse("1Mi")
	token := &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}}}
	for name, c := range map[string]struct {
		source corev1.VolumeSource
		tokens bool
		want   string
	}{
		"memory":           {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "Memory", SizeLimit: &size}}, false, ""},
		"a limit on disk":  {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}, false, "spec.volumes[0].emptyDir.sizeLimit"},
		"huge pages":       {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "HugePages-2Mi"}}, false, "spec.volumes[0].emptyDir.medium"},
		"no source":        {corev1.VolumeSource{}, false, ""},
		"tokens":           {corev1.VolumeSource{Projected: token}, true, ""},
		"tokens of no one": {corev1.VolumeSource{Projected: token}, false, "spec.volumes[0].projected.sources[0].serviceAccountToken"},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: c.source}}}}
		got := ""
		for _, e := range New(Options{}).Refused(pod, c.tokens) {
			got += e.Field
		}
		if got != c.want {
			t.Errorf("%s: refused %q, want %q", name, got, c.want)
		}
	}
}

func TestUnsupportedSourceFailsByName(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}}}}}
	_, err := New(Options{}).SetUp(t.Context(), Request{Pod: pod, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), `volume "v" : spec.volumes[0].nfs: Forbidden`) {
		t.Error(err)
	}
}
