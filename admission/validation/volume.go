package validation

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkVolumes checks all volumes and notes the sound ones for the mounts.
func (c *podCheck) checkVolumes(at *field.Path) {
	for i := range c.spec.Volumes {
		v, here := &c.spec.Volumes[i], at.Index(i)
		before := len(c.errs)
		c.volumeSource(here, v)
		if c.need(here.Child("name"), v.Name) {
			c.label(here.Child("name"), v.Name)
		}
		if _, ok := c.volumes[v.Name]; ok {
			c.add(field.Duplicate(here.Child("name"), v.Name))
		}
		if len(c.errs) == before {
			c.volumes[v.Name] = &v.VolumeSource
		}
		if p := v.PersistentVolumeClaim; p != nil && c.makesClaim(p.ClaimName) {
			c.invalid(here.Child("persistentVolumeClaim", "claimName"), p.ClaimName,
				"must not reference a PVC that gets created for an ephemeral volume")
		}
	}
	if c.spec.ServiceAccountName != "" {
		return
	}
	for i := range c.spec.Volumes {
		if p := c.spec.Volumes[i].Projected; p != nil {
			for j := range p.Sources {
				if p.Sources[j].ServiceAccountToken != nil {
					c.forbidden(at.Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken"),
						"must not be specified when serviceAccountName is not set")
				}
			}
		}
	}
}

// makesClaim reports whether a claim is made for an ephemeral volume of the pod.
func (c *podCheck) makesClaim(name string) bool {
	for i := range c.spec.Volumes {
		v := &c.spec.Volumes[i]
		if c.pod.Name != "" && v.Ephemeral != nil && name == c.pod.Name+"-"+v.Name {
			return true
		}
	}
	return false
}

// volumeKind is one kind of volume: its field, where its errors are said to be
// (Kubernetes is not always exact), whether a volume is of it, and its check.
type volumeKind struct {
	field, errorsAt string
	is              func(v *corev1.Volume) bool
	check           func(c *podCheck, at *field.Path, v *corev1.Volume)
}

// volumeSource checks the first source and forbids all others.
func (c *podCheck) volumeSource(at *field.Path, v *corev1.Volume) {
	chosen := ""
	for i := range volumeKinds {
		k := &volumeKinds[i]
		switch {
		case !k.is(v):
		case chosen != "":
			c.forbidden(at.Child(k.field), "may not specify more than 1 volume type")
		default:
			chosen = k.field
			where := k.errorsAt
			if where == "" {
				where = k.field
			}
			k.check(c, at.Child(where), v)
		}
	}
	switch {
	case chosen == "":
		c.required(at, "must specify a volume type")
	case chosen == "ephemeral":
		c.claimName(at.Child("name"), v.Name)
	}
	if v.ISCSI != nil && v.ISCSI.InitiatorName != nil && len(v.Name+":"+v.ISCSI.TargetPortal) > 64 {
		c.invalid(at.Child("name"), v.Name, "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.")
	}
}

func (c *podCheck) emptyDir(at *field.Path, v *corev1.Volume) {
	if l := v.EmptyDir.SizeLimit; l != nil && l.Sign() < 0 {
		c.forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")
	}
}

func (c *podCheck) secretVolume(at *field.Path, v *corev1.Volume) {
	c.need(at.Child("secretName"), v.Secret.SecretName)
	c.mode(at.Child("defaultMode"), v.Secret.DefaultMode)
	c.keysToPaths(at.Child("items"), v.Secret.Items)
}

func (c *podCheck) configMapVolume(at *field.Path, v *corev1.Volume) {
	c.need(at.Child("name"), v.ConfigMap.Name)
	c.mode(at.Child("defaultMode"), v.ConfigMap.DefaultMode)
	c.keysToPaths(at.Child("items"), v.ConfigMap.Items)
}

func (c *podCheck) downwardVolume(at *field.Path, v *corev1.Volume) {
	c.mode(at.Child("defaultMode"), v.DownwardAPI.DefaultMode)
	for i := range v.DownwardAPI.Items {
		c.downwardFile(at, &v.DownwardAPI.Items[i])
	}
}

func (c *podCheck) imageVolume(at *field.Path, v *corev1.Volume) {
	c.need(at.Child("reference"), v.Image.Reference)
	c.pullPolicy(at.Child("pullPolicy"), v.Image.PullPolicy)
}

func (c *podCheck) hostPath(at *field.Path, v *corev1.Volume) {
	h := v.HostPath
	if !c.need(at.Child("path"), h.Path) {
		return
	}
	c.noBacksteps(at.Child("path"), h.Path)
	maybeOneOf(&c.report, at.Child("type"), h.Type, corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev,
		corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)
}

func (c *podCheck) keysToPaths(at *field.Path, items []corev1.KeyToPath) {
	for i := range items {
		k, here := &items[i], at.Index(i)
		c.need(here.Child("key"), k.Key)
		c.need(here.Child("path"), k.Path)
		c.localPath(here.Child("path"), k.Path)
		c.mode(here.Child("mode"), k.Mode)
	}
}

// downwardFile checks one file; its errors are said to be at the list's owner.
func (c *podCheck) downwardFile(at *field.Path, f *corev1.DownwardAPIVolumeFile) {
	c.need(at.Child("path"), f.Path)
	c.localPath(at.Child("path"), f.Path)
	switch {
	case f.FieldRef != nil:
		c.fieldRef(at.Child("fieldRef"), f.FieldRef, fileFields)
		if f.ResourceFieldRef != nil {
			c.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
		}
	case f.ResourceFieldRef != nil:
		c.resourceFieldRef(at.Child("resourceFieldRef"), f.ResourceFieldRef, true)
	default:
		c.required(at, "one of fieldRef and resourceFieldRef is required")
	}
	c.mode(at.Child("mode"), f.Mode)
}

func (c *podCheck) csi(at *field.Path, vol *corev1.Volume) {
	v := vol.CSI
	if c.need(at.Child("driver"), v.Driver) {
		if len(v.Driver) > 63 {
			c.add(field.TooLong(at.Child("driver"), "", 63))
		}
		for _, msg := range apivalidation.NameIsDNSSubdomain(strings.ToLower(v.Driver), false) {
			c.invalid(at.Child("driver"), v.Driver, msg)
		}
	}
	if ref := v.NodePublishSecretRef; ref != nil && c.need(at.Child("nodePublishSecretRef", "name"), ref.Name) {
		c.each(at.Child("name"), ref.Name, apivalidation.NameIsDNSSubdomain(ref.Name, false))
	}
}

// noBacksteps reports a path with an element "..".
func (r *report) noBacksteps(at *field.Path, p string) {
	if contains(strings.Split(p, "/"), "..") {
		r.invalid(at, p, "must not contain '..'")
	}
}

// descending reports a path that is absolute or leads upwards.
func (r *report) descending(at *field.Path, p string) {
	if path.IsAbs(p) {
		r.invalid(at, p, "must be a relative path")
	}
	r.noBacksteps(at, p)
}

// localPath is descending for paths that kubelet writes: its own names begin
// with "..".
func (r *report) localPath(at *field.Path, p string) {
	r.descending(at, p)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		r.invalid(at, p, "must not start with '..'")
	}
}
