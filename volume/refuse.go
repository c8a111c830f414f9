package volume

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Refused lists the volumes of pod, and fields of them, that are set and that
// the Manager does not honour, each with its path and what to do. tokens says
// whether Request.Tokens will be there.
func (m *Manager) Refused(p *corev1.Pod, tokens bool) field.ErrorList {
	var list field.ErrorList
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if plugin := m.plugin(v); plugin == nil || builtin(plugin) {
			list = append(list, refusedVolume(v, volumeField(i), tokens)...)
		}
	}
	return list
}

func builtin(p Plugin) bool {
	switch p.(type) {
	case emptyDir, hostPath, content:
		return true
	}
	return false
}

func volumeField(i int) *field.Path { return field.NewPath("spec", "volumes").Index(i) }

const noUser = "files belong to the node's user and the pod's fsGroup: use fsGroup"

// refusedVolume is Refused for one volume of the built-in types.
func refusedVolume(v *corev1.Volume, p *field.Path, tokens bool) field.ErrorList {
	r := &refusals{tokens: tokens}
	switch {
	case v.EmptyDir != nil:
		r.emptyDir(v.EmptyDir, p.Child("emptyDir"))
	case v.ConfigMap != nil:
		r.add(v.ConfigMap.DefaultUser != nil, p.Child("configMap", "defaultUser"), noUser)
		r.items(v.ConfigMap.Items, p.Child("configMap"))
	case v.Secret != nil:
		r.add(v.Secret.DefaultUser != nil, p.Child("secret", "defaultUser"), noUser)
		r.items(v.Secret.Items, p.Child("secret"))
	case v.DownwardAPI != nil:
		r.add(v.DownwardAPI.DefaultUser != nil, p.Child("downwardAPI", "defaultUser"), noUser)
		r.files(v.DownwardAPI.Items, p.Child("downwardAPI"))
	case v.Projected != nil:
		r.add(v.Projected.DefaultUser != nil, p.Child("projected", "defaultUser"), noUser)
		for i := range v.Projected.Sources {
			r.projection(&v.Projected.Sources[i], p.Child("projected", "sources").Index(i))
		}
	case v.HostPath != nil, v.VolumeSource == corev1.VolumeSource{}:
	default:
		r.add(true, p.Child(sourceName(v)), "this volume type is not supported: use emptyDir, hostPath, configMap, secret, downwardAPI or projected")
	}
	return r.list
}

type refusals struct {
	tokens bool
	list   field.ErrorList
}

func (r *refusals) add(set bool, p *field.Path, why string) {
	if set {
		r.list = append(r.list, field.Forbidden(p, why))
	}
}

func (r *refusals) emptyDir(e *corev1.EmptyDirVolumeSource, p *field.Path) {
	memory := e.Medium == corev1.StorageMediumMemory
	r.add(!memory && e.Medium != "", p.Child("medium"), `only the disk ("") and "Memory" are supported`)
	r.add(!memory && e.SizeLimit != nil, p.Child("sizeLimit"), `a size is enforced with medium "Memory" only: leave it out`)
	r.add(e.Mode != nil, p.Child("mode"), "the mode is always 0777: use fsGroup")
}

func (r *refusals) items(items []corev1.KeyToPath, p *field.Path) {
	for i, it := range items {
		r.add(it.User != nil, p.Child("items").Index(i).Child("user"), noUser)
	}
}

func (r *refusals) files(files []corev1.DownwardAPIVolumeFile, p *field.Path) {
	for i, f := range files {
		r.add(f.User != nil, p.Child("items").Index(i).Child("user"), noUser)
	}
}

func (r *refusals) projection(s *corev1.VolumeProjection, p *field.Path) {
	switch {
	case s.ConfigMap != nil:
		r.items(s.ConfigMap.Items, p.Child("configMap"))
	case s.Secret != nil:
		r.items(s.Secret.Items, p.Child("secret"))
	case s.DownwardAPI != nil:
		r.files(s.DownwardAPI.Items, p.Child("downwardAPI"))
	case s.ServiceAccountToken != nil:
		p := p.Child("serviceAccountToken")
		r.add(!r.tokens, p, "nothing here issues service account tokens")
		r.add(s.ServiceAccountToken.User != nil, p.Child("user"), noUser)
	}
	r.add(s.ClusterTrustBundle != nil, p.Child("clusterTrustBundle"), "trust bundles are not supported: use a configMap")
	r.add(s.PodCertificate != nil, p.Child("podCertificate"), "pod certificates are not supported: use a secret")
}

// sourceName is the field of the volume's source in a manifest.
func sourceName(v *corev1.Volume) string {
	b, _ := json.Marshal(v.VolumeSource) // API structs always can
	var set map[string]json.RawMessage
	_ = json.Unmarshal(b, &set)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		return name
	}
	return ""
}
