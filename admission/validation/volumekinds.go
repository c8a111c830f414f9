package validation

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// volumeKinds is in Kubernetes' order: of a volume with two sources the first
// here counts, and the other is forbidden.
var volumeKinds = []volumeKind{
	{"emptyDir", "", func(v *corev1.Volume) bool { return v.EmptyDir != nil }, (*podCheck).emptyDir},
	{"hostPath", "", func(v *corev1.Volume) bool { return v.HostPath != nil }, (*podCheck).hostPath},
	{"gitRepo", "", func(v *corev1.Volume) bool { return v.GitRepo != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "repository", v.GitRepo.Repository)
		c.descending(at.Child("directory"), v.GitRepo.Directory)
	}},
	{"gcePersistentDisk", "persistentDisk", func(v *corev1.Volume) bool { return v.GCEPersistentDisk != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "pdName", v.GCEPersistentDisk.PDName)
		c.partition(at, v.GCEPersistentDisk.Partition)
	}},
	{"awsElasticBlockStore", "", func(v *corev1.Volume) bool { return v.AWSElasticBlockStore != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "volumeID", v.AWSElasticBlockStore.VolumeID)
		c.partition(at, v.AWSElasticBlockStore.Partition)
	}},
	{"secret", "", func(v *corev1.Volume) bool { return v.Secret != nil }, (*podCheck).secretVolume},
	{"nfs", "", func(v *corev1.Volume) bool { return v.NFS != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "server", v.NFS.Server, "path", v.NFS.Path)
		if !path.IsAbs(v.NFS.Path) {
			c.invalid(at.Child("path"), v.NFS.Path, "must be an absolute path")
		}
	}},
	{"iscsi", "", func(v *corev1.Volume) bool { return v.ISCSI != nil }, (*podCheck).iscsi},
	{"glusterfs", "", func(v *corev1.Volume) bool { return v.Glusterfs != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "endpoints", v.Glusterfs.EndpointsName, "path", v.Glusterfs.Path)
	}},
	{"flocker", "", func(v *corev1.Volume) bool { return v.Flocker != nil }, (*podCheck).flocker},
	{"persistentVolumeClaim", "", func(v *corev1.Volume) bool { return v.PersistentVolumeClaim != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "claimName", v.PersistentVolumeClaim.ClaimName)
	}},
	{"rbd", "", func(v *corev1.Volume) bool { return v.RBD != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.monitors(at, v.RBD.CephMonitors)
		c.needs(at, "image", v.RBD.RBDImage)
	}},
	{"cinder", "", func(v *corev1.Volume) bool { return v.Cinder != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "volumeID", v.Cinder.VolumeID)
		c.secretRef(at, v.Cinder.SecretRef)
	}},
	{"cephFS", "cephfs", func(v *corev1.Volume) bool { return v.CephFS != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.monitors(at, v.CephFS.Monitors)
	}},
	{"quobyte", "", func(v *corev1.Volume) bool { return v.Quobyte != nil }, (*podCheck).quobyte},
	{"downwarAPI", "downwardAPI", func(v *corev1.Volume) bool { return v.DownwardAPI != nil }, (*podCheck).downwardVolume},
	{"fc", "", func(v *corev1.Volume) bool { return v.FC != nil }, (*podCheck).fibreChannel},
	{"flexVolume", "", func(v *corev1.Volume) bool { return v.FlexVolume != nil }, (*podCheck).flex},
	{"configMap", "", func(v *corev1.Volume) bool { return v.ConfigMap != nil }, (*podCheck).configMapVolume},
	{"azureFile", "", func(v *corev1.Volume) bool { return v.AzureFile != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "secretName", v.AzureFile.SecretName, "shareName", v.AzureFile.ShareName)
	}},
	{"vsphereVolume", "", func(v *corev1.Volume) bool { return v.VsphereVolume != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "volumePath", v.VsphereVolume.VolumePath)
	}},
	{"photonPersistentDisk", "", func(v *corev1.Volume) bool { return v.PhotonPersistentDisk != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "pdID", v.PhotonPersistentDisk.PdID)
	}},
	{"portworxVolume", "", func(v *corev1.Volume) bool { return v.PortworxVolume != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "volumeID", v.PortworxVolume.VolumeID)
	}},
	{"azureDisk", "", func(v *corev1.Volume) bool { return v.AzureDisk != nil }, (*podCheck).azureDisk},
	{"storageos", "", func(v *corev1.Volume) bool { return v.StorageOS != nil }, (*podCheck).storageOS},
	{"projected", "", func(v *corev1.Volume) bool { return v.Projected != nil }, (*podCheck).projected},
	{"scaleIO", "", func(v *corev1.Volume) bool { return v.ScaleIO != nil }, func(c *podCheck, at *field.Path, v *corev1.Volume) {
		c.needs(at, "gateway", v.ScaleIO.Gateway, "system", v.ScaleIO.System, "volumeName", v.ScaleIO.VolumeName)
	}},
	{"csi", "", func(v *corev1.Volume) bool { return v.CSI != nil }, (*podCheck).csi},
	{"ephemeral", "", func(v *corev1.Volume) bool { return v.Ephemeral != nil }, (*podCheck).ephemeralVolume},
	{"image", "", func(v *corev1.Volume) bool { return v.Image != nil }, (*podCheck).imageVolume},
}
