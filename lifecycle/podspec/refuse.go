package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Refused lists the fields of pod that are set and that this version does not
// honour, each with its path and what to do. A runner refuses a pod with any
// (or warns, when it is lenient); it never ignores one.
//
// Two groups are told elsewhere, by who honours them: what a scheduler decides
// by (affinity, spread, tolerations, gates, priority) and the sources of
// volumes (volume.Manager.Refused).
func Refused(pod *corev1.Pod) field.ErrorList {
	r := &refusals{}
	spec := field.NewPath("spec")
	r.pod(&pod.Spec, spec)
	for i := range pod.Spec.InitContainers {
		r.container(&pod.Spec.InitContainers[i], spec.Child("initContainers").Index(i))
	}
	for i := range pod.Spec.Containers {
		r.container(&pod.Spec.Containers[i], spec.Child("containers").Index(i))
	}
	return r.list
}

type refusals struct{ list field.ErrorList }

func (r *refusals) add(set bool, p *field.Path, why string) {
	if set {
		r.list = append(r.list, field.Forbidden(p, why))
	}
}

func (r *refusals) pod(s *corev1.PodSpec, p *field.Path) {
	r.add(len(s.EphemeralContainers) > 0, p.Child("ephemeralContainers"), "ephemeral containers are not run: use exec")
	r.add(deref(s.AutomountServiceAccountToken), p.Child("automountServiceAccountToken"),
		"no service account token is mounted by itself: add a projected volume with a serviceAccountToken source")
	r.add(s.RuntimeClassName != nil, p.Child("runtimeClassName"), "runtime classes are not looked up: every pod runs with the runtime's default handler")
	r.add(s.OS != nil && s.OS.Name != "" && s.OS.Name != corev1.Linux, p.Child("os", "name"), "only linux containers can run here")
	r.add(s.HostUsers != nil && !*s.HostUsers, p.Child("hostUsers"), "user namespaces are not supported: leave it out or set it to true")
	r.add(len(s.ResourceClaims) > 0, p.Child("resourceClaims"), "dynamic resource allocation is not supported")
	r.add(s.SchedulingGroup != nil, p.Child("schedulingGroup"), "pods are scheduled one by one")
	r.add(len(s.EvictionResponders) > 0, p.Child("evictionResponders"), "eviction requests are not supported")
	if s.Resources != nil {
		r.add(len(s.Resources.Claims) > 0, p.Child("resources", "claims"), "dynamic resource allocation is not supported")
	}
	if sc := s.SecurityContext; sc != nil {
		p := p.Child("securityContext")
		r.add(sc.SELinuxOptions != nil, p.Child("seLinuxOptions"), "volumes are not labelled for SELinux")
		r.add(sc.WindowsOptions != nil, p.Child("windowsOptions"), "only linux containers can run here")
		r.add(sc.SELinuxChangePolicy != nil, p.Child("seLinuxChangePolicy"), "volumes are not labelled for SELinux")
	}
}

func (r *refusals) container(c *corev1.Container, p *field.Path) {
	r.add(len(c.VolumeDevices) > 0, p.Child("volumeDevices"), "block volumes are not supported: mount the volume instead")
	r.add(len(c.Resources.Claims) > 0, p.Child("resources", "claims"), "dynamic resource allocation is not supported")
	_, limited := c.Resources.Limits[corev1.ResourceEphemeralStorage]
	r.add(limited, p.Child("resources", "limits").Key(string(corev1.ResourceEphemeralStorage)), "local storage is not limited: leave it out")
	for i, e := range c.Env {
		r.add(e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil, p.Child("env").Index(i).Child("valueFrom", "fileKeyRef"),
			"variables are not read from files: use configMapKeyRef or secretKeyRef")
	}
	for i, m := range c.VolumeMounts {
		r.add(len(m.BindMountOptions) > 0, p.Child("volumeMounts").Index(i).Child("bindMountOptions"), "mount options are not supported")
	}
	if sc := c.SecurityContext; sc != nil {
		p := p.Child("securityContext")
		r.add(sc.SELinuxOptions != nil, p.Child("seLinuxOptions"), "volumes are not labelled for SELinux")
		r.add(sc.WindowsOptions != nil, p.Child("windowsOptions"), "only linux containers can run here")
	}
	r.probe(c.LivenessProbe, p.Child("livenessProbe"))
	r.probe(c.ReadinessProbe, p.Child("readinessProbe"))
	r.probe(c.StartupProbe, p.Child("startupProbe"))
	if c.Lifecycle != nil {
		p := p.Child("lifecycle")
		r.hook(c.Lifecycle.PostStart, p.Child("postStart"))
		r.hook(c.Lifecycle.PreStop, p.Child("preStop"))
		r.add(c.Lifecycle.StopSignal != nil, p.Child("stopSignal"), "the signal is the image's: set STOPSIGNAL there")
	}
}

func (r *refusals) probe(probe *corev1.Probe, p *field.Path) {
	if probe == nil {
		return
	}
	if g := probe.GRPC; g != nil {
		r.add(g.Mode != nil, p.Child("grpc", "mode"), "grpc probes use plain connections")
	}
	r.httpGet(probe.HTTPGet, p)
}

func (r *refusals) hook(h *corev1.LifecycleHandler, p *field.Path) {
	if h == nil {
		return
	}
	r.add(h.TCPSocket != nil, p.Child("tcpSocket"), "a hook cannot be a connection: use exec, httpGet or sleep")
	r.httpGet(h.HTTPGet, p)
}

func (r *refusals) httpGet(a *corev1.HTTPGetAction, p *field.Path) {
	if a != nil && a.Protocol != nil && *a.Protocol != "HTTP1" {
		r.add(true, p.Child("httpGet", "protocol"), fmt.Sprintf("%s is not supported: use HTTP1", *a.Protocol))
	}
}
