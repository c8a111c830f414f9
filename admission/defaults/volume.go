package defaults

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
)

func volume(v *corev1.Volume) {
	src := &v.VolumeSource
	if reflect.ValueOf(src).Elem().IsZero() {
		src.EmptyDir = &corev1.EmptyDirVolumeSource{}
		return
	}
	if src.Image != nil {
		orDefault(&src.Image.PullPolicy, pullPolicy(src.Image.Reference))
	}
	if src.HostPath != nil {
		orNew(&src.HostPath.Type, corev1.HostPathUnset)
	}
	if src.Secret != nil {
		orNew(&src.Secret.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
	}
	if src.ConfigMap != nil {
		orNew(&src.ConfigMap.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
	}
	if src.DownwardAPI != nil {
		orNew(&src.DownwardAPI.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
		downwardItems(src.DownwardAPI.Items)
	}
	if src.Projected != nil {
		projected(src.Projected)
	}
	if src.Ephemeral != nil && src.Ephemeral.VolumeClaimTemplate != nil {
		spec := &src.Ephemeral.VolumeClaimTemplate.Spec
		orNew(&spec.VolumeMode, corev1.PersistentVolumeFilesystem)
		resources(spec.Resources.Limits)
		resources(spec.Resources.Requests)
	}
	foreign(src)
}

func projected(p *corev1.ProjectedVolumeSource) {
	orNew(&p.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
	for i := range p.Sources {
		if d := p.Sources[i].DownwardAPI; d != nil {
			downwardItems(d.Items)
		}
		if t := p.Sources[i].ServiceAccountToken; t != nil {
			orNew(&t.ExpirationSeconds, int64(3600))
		}
	}
}

func downwardItems(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		fieldRef(items[i].FieldRef)
	}
}

// foreign defaults volumes that other systems serve.
func foreign(src *corev1.VolumeSource) {
	if v := src.ISCSI; v != nil {
		orDefault(&v.ISCSIInterface, "default")
	}
	if v := src.RBD; v != nil {
		orDefault(&v.RBDPool, "rbd")
		orDefault(&v.RadosUser, "admin")
		orDefault(&v.Keyring, "/etc/ceph/keyring")
	}
	if v := src.AzureDisk; v != nil {
		orNew(&v.CachingMode, corev1.AzureDataDiskCachingReadWrite)
		orNew(&v.FSType, "ext4")
		orNew(&v.ReadOnly, false)
		orNew(&v.Kind, corev1.AzureSharedBlobDisk)
	}
	if v := src.ScaleIO; v != nil {
		orDefault(&v.StorageMode, "ThinProvisioned")
		orDefault(&v.FSType, "xfs")
	}
}
