package admission

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/pod"
)

// dropDisabled empties fields whose feature gate is off by default in 1.37, and
// returns their paths.
func dropDisabled(p *corev1.Pod) []string {
	d := &dropper{}
	spec := field.NewPath("spec")
	drop(d, spec.Child("schedulingGroup"), &p.Spec.SchedulingGroup)
	drop(d, spec.Child("evictionResponders"), &p.Spec.EvictionResponders)
	n := map[pod.Kind]int{}
	for c, k := range pod.Containers(&p.Spec, pod.All) {
		d.container(spec.Child(containerField[k]).Index(n[k]), c)
		n[k]++
	}
	for i := range p.Spec.Volumes {
		d.volume(spec.Child("volumes").Index(i), &p.Spec.Volumes[i])
	}
	for _, key := range []string{
		"pod.beta.kubernetes.io/init-containers", "pod.alpha.kubernetes.io/init-containers",
		"pod.beta.kubernetes.io/init-container-statuses", "pod.alpha.kubernetes.io/init-container-statuses",
	} {
		if _, ok := p.Annotations[key]; ok {
			delete(p.Annotations, key)
			d.dropped = append(d.dropped, "metadata.annotations["+key+"]")
		}
	}
	return d.dropped
}

var containerField = map[pod.Kind]string{
	pod.Init: "initContainers", pod.Regular: "containers", pod.Ephemeral: "ephemeralContainers",
}

type dropper struct{ dropped []string }

// drop empties one field.
func drop[T any](d *dropper, at *field.Path, v *T) {
	if rv := reflect.ValueOf(v).Elem(); !rv.IsZero() {
		rv.SetZero()
		d.dropped = append(d.dropped, at.String())
	}
}

func (d *dropper) container(at *field.Path, c *corev1.Container) {
	for i := range c.VolumeMounts {
		if c.VolumeMounts[i].BindMountOptions != nil {
			drop(d, at.Child("volumeMounts").Index(i).Child("bindMountOptions"), &c.VolumeMounts[i].BindMountOptions)
		}
	}
	for name, probe := range map[string]*corev1.Probe{
		"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe,
	} {
		if probe == nil {
			continue
		}
		d.http(at.Child(name), probe.HTTPGet)
		if probe.GRPC != nil && probe.GRPC.Mode != nil {
			drop(d, at.Child(name, "grpc", "mode"), &probe.GRPC.Mode)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for name, h := range map[string]*corev1.LifecycleHandler{"postStart": c.Lifecycle.PostStart, "preStop": c.Lifecycle.PreStop} {
		if h != nil {
			d.http(at.Child("lifecycle", name), h.HTTPGet)
		}
	}
	if c.Lifecycle.StopSignal != nil {
		drop(d, at.Child("lifecycle", "stopSignal"), &c.Lifecycle.StopSignal)
		if *c.Lifecycle == (corev1.Lifecycle{}) {
			c.Lifecycle = nil
		}
	}
}

func (d *dropper) http(at *field.Path, h *corev1.HTTPGetAction) {
	if h != nil && h.Protocol != nil {
		drop(d, at.Child("httpGet", "protocol"), &h.Protocol)
	}
}

func (d *dropper) volume(at *field.Path, v *corev1.Volume) {
	if v.EmptyDir != nil && v.EmptyDir.Mode != nil {
		drop(d, at.Child("emptyDir", "mode"), &v.EmptyDir.Mode)
	}
	switch {
	case v.Secret != nil:
		drop(d, at.Child("secret", "defaultUser"), &v.Secret.DefaultUser)
		d.keys(at.Child("secret", "items"), v.Secret.Items)
	case v.ConfigMap != nil:
		drop(d, at.Child("configMap", "defaultUser"), &v.ConfigMap.DefaultUser)
		d.keys(at.Child("configMap", "items"), v.ConfigMap.Items)
	case v.DownwardAPI != nil:
		drop(d, at.Child("downwardAPI", "defaultUser"), &v.DownwardAPI.DefaultUser)
		d.files(at.Child("downwardAPI", "items"), v.DownwardAPI.Items)
	case v.Projected != nil:
		drop(d, at.Child("projected", "defaultUser"), &v.Projected.DefaultUser)
		for i := range v.Projected.Sources {
			d.projection(at.Child("projected", "sources").Index(i), &v.Projected.Sources[i])
		}
	}
}

func (d *dropper) projection(at *field.Path, p *corev1.VolumeProjection) {
	switch {
	case p.Secret != nil:
		d.keys(at.Child("secret", "items"), p.Secret.Items)
	case p.DownwardAPI != nil:
		d.files(at.Child("downwardAPI", "items"), p.DownwardAPI.Items)
	case p.ConfigMap != nil:
		d.keys(at.Child("configMap", "items"), p.ConfigMap.Items)
	case p.ServiceAccountToken != nil:
		drop(d, at.Child("serviceAccountToken", "user"), &p.ServiceAccountToken.User)
	case p.ClusterTrustBundle != nil:
		drop(d, at.Child("clusterTrustBundle", "user"), &p.ClusterTrustBundle.User)
	case p.PodCertificate != nil:
		drop(d, at.Child("podCertificate", "user"), &p.PodCertificate.User)
	}
}

func (d *dropper) keys(at *field.Path, items []corev1.KeyToPath) {
	for i := range items {
		drop(d, at.Index(i).Child("user"), &items[i].User)
	}
}

func (d *dropper) files(at *field.Path, items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		drop(d, at.Index(i).Child("user"), &items[i].User)
	}
}
