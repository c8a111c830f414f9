package validation

import (
	"net"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// needs reports fields that are empty: names and values in pairs.
func (c *podCheck) needs(at *field.Path, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		c.need(at.Child(pairs[i]), pairs[i+1])
	}
}

// partition: 0 is allowed, though the text does not say so.
func (c *podCheck) partition(at *field.Path, n int32) {
	if n < 0 || n > 255 {
		c.invalid(at.Child("partition"), n, "must be between 1 and 255, inclusive")
	}
}

func (c *podCheck) monitors(at *field.Path, list []string) {
	if len(list) == 0 {
		c.required(at.Child("monitors"), "")
	}
}

func (c *podCheck) secretRef(at *field.Path, ref *corev1.LocalObjectReference) {
	if ref != nil {
		c.need(at.Child("secretRef", "name"), ref.Name)
	}
}

var iscsiNames = map[string]*regexp.Regexp{
	"iqn": regexp.MustCompile(`iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`),
	"eui": regexp.MustCompile(`^eui.[[:alnum:]]{16}$`),
	"naa": regexp.MustCompile(`^naa.[[:alnum:]]{32}$`),
}

func (c *podCheck) iscsiName(at *field.Path, name string) {
	if len(name) < 3 || iscsiNames[name[:3]] == nil {
		c.invalid(at, name, "must be valid format starting with iqn, eui, or naa")
	} else if !iscsiNames[name[:3]].MatchString(name) {
		c.invalid(at, name, "must be valid format")
	}
}

func (c *podCheck) iscsi(at *field.Path, vol *corev1.Volume) {
	v := vol.ISCSI
	c.need(at.Child("targetPortal"), v.TargetPortal)
	if c.need(at.Child("iqn"), v.IQN) {
		c.iscsiName(at.Child("iqn"), v.IQN)
	}
	c.between(at.Child("lun"), int64(v.Lun), 0, 255)
	if (v.DiscoveryCHAPAuth || v.SessionCHAPAuth) && v.SecretRef == nil {
		c.required(at.Child("secretRef"), "")
	}
	if v.InitiatorName != nil {
		c.iscsiName(at.Child("initiatorname"), *v.InitiatorName)
	}
}

func (c *podCheck) flocker(at *field.Path, vol *corev1.Volume) {
	v := vol.Flocker
	switch {
	case v.DatasetName == "" && v.DatasetUUID == "":
		c.required(at, "one of datasetName and datasetUUID is required")
	case v.DatasetName != "" && v.DatasetUUID != "":
		c.invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously")
	}
	if strings.Contains(v.DatasetName, "/") {
		c.invalid(at.Child("datasetName"), v.DatasetName, "must not contain '/'")
	}
}

func (c *podCheck) quobyte(at *field.Path, vol *corev1.Volume) {
	v := vol.Quobyte
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	switch {
	case v.Registry == "":
		c.required(at.Child("registry"), pairs)
	case len(v.Tenant) >= 65:
		c.required(at.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters")
	default:
		for _, pair := range strings.Split(v.Registry, ",") {
			if _, _, err := net.SplitHostPort(pair); err != nil {
				c.invalid(at.Child("registry"), v.Registry, pairs)
			}
		}
	}
	c.need(at.Child("volume"), v.Volume)
}

func (c *podCheck) fibreChannel(at *field.Path, vol *corev1.Volume) {
	v := vol.FC
	wwns := at.Child("targetWWNs")
	switch {
	case len(v.TargetWWNs) == 0 && len(v.WWIDs) == 0:
		c.required(wwns, "must specify either targetWWNs or wwids, but not both")
	case len(v.TargetWWNs) > 0 && len(v.WWIDs) > 0:
		c.invalid(wwns, v.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously")
	}
	if len(v.TargetWWNs) > 0 {
		if v.Lun == nil {
			c.required(at.Child("lun"), "lun is required if targetWWNs is specified")
		} else {
			c.between(at.Child("lun"), int64(*v.Lun), 0, 255)
		}
	}
}

func (c *podCheck) flex(at *field.Path, vol *corev1.Volume) {
	v := vol.FlexVolume
	c.need(at.Child("driver"), v.Driver)
	for key := range v.Options {
		domain, _, _ := strings.Cut("."+strings.ToLower(key), "/")
		if strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") {
			c.invalid(at.Child("options").Key(key), key, "kubernetes.io and k8s.io namespaces are reserved")
		}
	}
}

func (c *podCheck) azureDisk(at *field.Path, vol *corev1.Volume) {
	v := vol.AzureDisk
	c.needs(at, "diskName", v.DiskName, "diskURI", v.DataDiskURI)
	maybeOneOf(&c.report, at.Child("cachingMode"), v.CachingMode,
		corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)
	maybeOneOf(&c.report, at.Child("kind"), v.Kind, corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk)
	if v.Kind == nil {
		return
	}
	prefix, form := "https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
	if *v.Kind == corev1.AzureManagedDisk {
		prefix, form = "/subscriptions/", "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
	}
	if !strings.HasPrefix(v.DataDiskURI, prefix) {
		c.add(field.NotSupported(at.Child("diskURI"), v.DataDiskURI, []string{form}))
	}
}

func (c *podCheck) storageOS(at *field.Path, vol *corev1.Volume) {
	v := vol.StorageOS
	if c.need(at.Child("volumeName"), v.VolumeName) {
		c.label(at.Child("volumeName"), v.VolumeName)
	}
	if v.VolumeNamespace != "" {
		c.label(at.Child("volumeNamespace"), v.VolumeNamespace)
	}
	c.secretRef(at, v.SecretRef)
}
