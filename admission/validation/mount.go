package validation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mounts checks what a container mounts, against the pod's volumes and the
// container's own devices.
func (c *podCheck) mounts(at *field.Path, ctr *corev1.Container) {
	paths, devices := unique{}, map[string]string{}
	for _, d := range ctr.VolumeDevices {
		devices[d.Name] = d.DevicePath
	}
	for i := range ctr.VolumeMounts {
		m, here := &ctr.VolumeMounts[i], at.Index(i)
		c.need(here.Child("name"), m.Name)
		if c.volumes[m.Name] == nil {
			c.add(field.NotFound(here.Child("name"), m.Name))
		}
		c.need(here.Child("mountPath"), m.MountPath)
		if paths.again(m.MountPath) {
			c.invalid(here.Child("mountPath"), m.MountPath, "must be unique")
		}
		if _, taken := devices[m.Name]; taken {
			c.invalid(here.Child("name"), m.Name, "must not already exist in volumeDevices")
		}
		if hasPath(devices, m.MountPath) {
			c.invalid(here.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices")
		}
		c.subPath(at, here, m)
		c.propagation(at, m, ctr.SecurityContext)
	}
}

// subPath: the errors of the paths are said to be at the list.
func (c *podCheck) subPath(list, at *field.Path, m *corev1.VolumeMount) {
	if m.SubPath != "" {
		c.descending(list.Child("subPath"), m.SubPath)
	}
	if m.SubPathExpr == "" {
		return
	}
	if m.SubPath != "" {
		c.invalid(at.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive")
	}
	c.descending(list.Child("subPathExpr"), m.SubPathExpr)
}

func (c *podCheck) propagation(list *field.Path, m *corev1.VolumeMount, sc *corev1.SecurityContext) {
	if p := m.MountPropagation; p != nil {
		at := list.Child("mountPropagation")
		oneOf(&c.report, at, *p, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
		privileged := sc != nil && sc.Privileged != nil && *sc.Privileged
		if *p == corev1.MountPropagationBidirectional && !privileged {
			c.forbidden(at, "Bidirectional mount propagation is available only to privileged containers")
		}
	}
	at := list.Child("recursiveReadOnly")
	if r := m.RecursiveReadOnly; r == nil || *r == corev1.RecursiveReadOnlyDisabled ||
		!oneOf(&c.report, at, *r, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible) {
		return
	}
	if !m.ReadOnly {
		c.forbidden(at, "may only be specified when readOnly is true")
	}
	if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
		c.forbidden(at, "may only be specified when mountPropagation is None or not specified")
	}
}

// devices checks block devices against the pod's volumes and the container's
// mounts.
func (c *podCheck) devices(at *field.Path, ctr *corev1.Container) {
	names, paths, mounts := unique{}, unique{}, map[string]string{}
	for i := range ctr.VolumeMounts {
		mounts[ctr.VolumeMounts[i].Name] = ctr.VolumeMounts[i].MountPath
	}
	for i, d := range ctr.VolumeDevices {
		name, path := at.Index(i).Child("name"), at.Index(i).Child("devicePath")
		if c.need(name, d.Name) && names.again(d.Name) {
			c.invalid(name, d.Name, "must be unique")
		}
		if v := c.volumes[d.Name]; v == nil {
			c.add(field.NotFound(name, d.Name))
		} else if v.PersistentVolumeClaim == nil && v.Ephemeral == nil {
			c.invalid(name, d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
		}
		c.need(path, d.DevicePath)
		var up report
		if up.noBacksteps(path, d.DevicePath); len(up.errs) > 0 {
			c.invalid(path, d.DevicePath, "can not contain backsteps ('..')")
		} else if paths.again(d.DevicePath) {
			c.invalid(path, d.DevicePath, "must be unique")
		}
		if _, taken := mounts[d.Name]; taken {
			c.invalid(name, d.Name, "must not already exist in volumeMounts")
		}
		if hasPath(mounts, d.DevicePath) {
			c.invalid(path, d.DevicePath, "must not already exist as a path in volumeMounts")
		}
	}
}

// hasPath looks among the paths of named volumes; a volume has the last of its own.
func hasPath(volumes map[string]string, path string) bool {
	for _, p := range volumes {
		if p == path {
			return true
		}
	}
	return false
}
