package local

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/pod"
)

// references names the configMaps and secrets that a pod needs: for variables,
// volumes and pulls.
func references(p *corev1.Pod) (maps, secrets []string) {
	for c := range pod.Containers(&p.Spec, pod.All) {
		m, s := podspec.References(c)
		maps, secrets = append(maps, m...), append(secrets, s...)
	}
	for _, r := range p.Spec.ImagePullSecrets {
		secrets = append(secrets, r.Name)
	}
	for _, v := range p.Spec.Volumes {
		if v.ConfigMap != nil {
			maps = append(maps, v.ConfigMap.Name)
		}
		if v.Secret != nil {
			secrets = append(secrets, v.Secret.SecretName)
		}
		if v.Projected == nil {
			continue
		}
		for _, src := range v.Projected.Sources {
			if src.ConfigMap != nil {
				maps = append(maps, src.ConfigMap.Name)
			}
			if src.Secret != nil {
				secrets = append(secrets, src.Secret.Name)
			}
		}
	}
	slices.Sort(maps)
	slices.Sort(secrets)
	return slices.Compact(maps), slices.Compact(secrets)
}
