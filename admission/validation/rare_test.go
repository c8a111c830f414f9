package validation_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/admission/defaults"
)

func tolerations(text string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.TolerationsAnnotationKey: text} }
}

func sysctl(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.HostIPC = true
		p.Spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: name, Value: "1"}}
	}
}

func claimIn(annotations map[string]string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations, p.Spec.NodeName = annotations, "n"
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: ptr.To("x")}}
		p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	}
}

// What the corpus does not show; the answers are those of the real code.
func TestRareErrors(t *testing.T) {
	const (
		annotations = "metadata.annotations"
		first       = annotations + ".scheduler.alpha.kubernetes.io/tolerations[0].operator"
		hostIPC     = "may not be specified when 'hostIPC' is true"
		sysctlAt    = "spec.securityContext.sysctls[0].name"
		star        = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
	)
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   []fieldError
	}{
		"annotated tolerations": {tolerations(`[{"key":"a","operator":"Exists"}]`), nil},
		"annotated toleration of an operator": {tolerations(`[{"key":"a","operator":"Bad"}]`),
			[]fieldError{{"FieldValueNotSupported", first, `supported values: "Equal", "Exists"`}}},
		"annotated toleration, no list": {tolerations("1"),
			[]fieldError{{"FieldValueInvalid", annotations, "json: cannot unmarshal number into Go value of type []core.Toleration"}}},
		"annotated toleration, no text": {tolerations(`[{"effect":1}]`),
			[]fieldError{{"FieldValueInvalid", annotations, "json: cannot unmarshal number into Go struct field Toleration.Effect of type core.TaintEffect"}}},
		"annotated toleration, no JSON": {tolerations("a"),
			[]fieldError{{"FieldValueInvalid", annotations, "invalid character 'a' looking for beginning of value"}}},

		"sysctl of ipc":                {sysctl("kernel.shmmax"), []fieldError{{"FieldValueInvalid", sysctlAt, hostIPC}}},
		"sysctl of mqueue":             {sysctl("fs/mqueue/a"), []fieldError{{"FieldValueInvalid", sysctlAt, hostIPC}}},
		"sysctl that is not quite ipc": {sysctl("kernel.msgx"), nil},
		"sysctls by a star":            {sysctl("kernel.shm*"), []fieldError{{"FieldValueInvalid", sysctlAt, hostIPC}, {"FieldValueInvalid", sysctlAt, star}}},

		"claim": {claimIn(nil), nil},
		"claim of a static pod": {claimIn(map[string]string{corev1.MirrorPodAnnotationKey: ""}),
			[]fieldError{{"FieldValueForbidden", "[]", "static pods do not support resource claims"}}},

		"a device's first path may be a mount's": {func(p *corev1.Pod) {
			disk := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}
			p.Spec.Volumes = []corev1.Volume{{Name: "disk", VolumeSource: disk}, {Name: "data", VolumeSource: disk}}
			c := &p.Spec.Containers[0]
			c.VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/a"}, {Name: "disk", DevicePath: "/b"}}
			c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/a"}}
		}, []fieldError{
			{"FieldValueInvalid", "spec.containers[0].volumeDevices[0].devicePath", "must not already exist as a path in volumeMounts"},
			{"FieldValueInvalid", "spec.containers[0].volumeDevices[1].name", "must be unique"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{}
			p.Name, p.Namespace = "web", "default"
			p.Spec.Containers = []corev1.Container{{Name: "web", Image: "nginx"}}
			defaults.Pod(p)
			tc.change(p)
			if got := errorsOf(p); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}
