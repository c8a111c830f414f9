package pod

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// Secrets yields the names of the secrets that the pod refers to, in the order
// of the spec: pull secrets, environment, volumes. A name can come twice; claims
// and what lies behind them are not followed.
func Secrets(spec *corev1.PodSpec) iter.Seq[string] {
	return nonEmpty(func(yield func(string) bool) bool {
		for _, r := range spec.ImagePullSecrets {
			if !yield(r.Name) {
				return false
			}
		}
		for c := range Containers(spec, All) {
			for _, e := range c.EnvFrom {
				if e.SecretRef != nil && !yield(e.SecretRef.Name) {
					return false
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !yield(e.ValueFrom.SecretKeyRef.Name) {
					return false
				}
			}
		}
		for i := range spec.Volumes {
			if !volumeSecrets(&spec.Volumes[i].VolumeSource, yield) {
				return false
			}
		}
		return true
	})
}

func volumeSecrets(v *corev1.VolumeSource, yield func(string) bool) bool {
	ref := func(r *corev1.LocalObjectReference) bool { return r == nil || yield(r.Name) }
	switch {
	case v.Secret != nil:
		return yield(v.Secret.SecretName)
	case v.CSI != nil:
		return ref(v.CSI.NodePublishSecretRef)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.Secret != nil && !yield(s.Secret.Name) {
				return false
			}
		}
	case v.AzureFile != nil:
		return yield(v.AzureFile.SecretName)
	case v.CephFS != nil:
		return ref(v.CephFS.SecretRef)
	case v.Cinder != nil:
		return ref(v.Cinder.SecretRef)
	case v.FlexVolume != nil:
		return ref(v.FlexVolume.SecretRef)
	case v.RBD != nil:
		return ref(v.RBD.SecretRef)
	case v.ScaleIO != nil:
		return ref(v.ScaleIO.SecretRef)
	case v.ISCSI != nil:
		return ref(v.ISCSI.SecretRef)
	case v.StorageOS != nil:
		return ref(v.StorageOS.SecretRef)
	}
	return true
}

// ConfigMaps yields the names of the configMaps that the pod refers to, in the
// order of the spec: environment, then volumes.
func ConfigMaps(spec *corev1.PodSpec) iter.Seq[string] {
	return nonEmpty(func(yield func(string) bool) bool {
		for c := range Containers(spec, All) {
			for _, e := range c.EnvFrom {
				if e.ConfigMapRef != nil && !yield(e.ConfigMapRef.Name) {
					return false
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil && !yield(e.ValueFrom.ConfigMapKeyRef.Name) {
					return false
				}
			}
		}
		for _, v := range spec.Volumes {
			if v.ConfigMap != nil && !yield(v.ConfigMap.Name) {
				return false
			}
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil && !yield(s.ConfigMap.Name) {
					return false
				}
			}
		}
		return true
	})
}

func nonEmpty(visit func(yield func(string) bool) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		visit(func(name string) bool { return name == "" || yield(name) })
	}
}
