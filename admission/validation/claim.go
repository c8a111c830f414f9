package validation

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ephemeralVolume checks the claim that is made for a volume.
func (c *podCheck) ephemeralVolume(at *field.Path, v *corev1.Volume) {
	at = at.Child("volumeClaimTemplate")
	t := v.Ephemeral.VolumeClaimTemplate
	if t == nil {
		c.required(at, "")
		return
	}
	c.templateMeta(at.Child("metadata"), &t.ObjectMeta)
	c.claim(at.Child("spec"), &t.Spec)
}

// claimName checks the name of the claim that is made for a volume.
func (c *podCheck) claimName(at *field.Path, volume string) {
	if c.pod.Name == "" || volume == "" {
		return
	}
	name := c.pod.Name + "-" + volume
	for _, msg := range apivalidation.NameIsDNSSubdomain(name, false) {
		c.invalid(at, volume, sprintf("PVC name %q: %v", name, msg))
	}
}

// templateMeta allows labels and annotations alone.
func (c *podCheck) templateMeta(at *field.Path, m *metav1.ObjectMeta) {
	c.add(apivalidation.ValidateAnnotations(m.Annotations, at.Child("annotations"))...)
	c.add(metav1validation.ValidateLabels(m.Labels, at.Child("labels"))...)
	v := reflect.ValueOf(*m)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Labels" && name != "Annotations" && !v.Field(i).IsZero() {
			c.forbidden(at.Child(strings.ToLower(name[:1])+name[1:]), "cannot be set")
		}
	}
}

func (c *podCheck) claim(at *field.Path, s *corev1.PersistentVolumeClaimSpec) {
	c.accessModes(at.Child("accessModes"), s.AccessModes)
	if s.Selector != nil {
		c.add(metav1validation.ValidateLabelSelector(s.Selector, metav1validation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	}
	size := at.Child("resources").Key(string(corev1.ResourceStorage))
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		c.required(size, "")
	} else if q.Sign() <= 0 {
		c.invalid(size, q.String(), "must be greater than zero")
	}
	for name, class := range map[string]*string{"storageClassName": s.StorageClassName, "volumeAttributesClassName": s.VolumeAttributesClassName} {
		if class != nil && *class != "" {
			c.subdomain(at.Child(name), *class)
		}
	}
	maybeOneOf(&c.report, at.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
	c.dataSources(at, s)
}

func (c *podCheck) accessModes(at *field.Path, modes []corev1.PersistentVolumeAccessMode) {
	if len(modes) == 0 {
		c.required(at, "at least 1 access mode is required")
	}
	alone, others := false, false
	for _, m := range modes {
		ok := oneOf(&c.report, at, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)
		alone = alone || m == corev1.ReadWriteOncePod
		others = others || ok && m != corev1.ReadWriteOncePod
	}
	if alone && others {
		c.forbidden(at, "may not use ReadWriteOncePod with other access modes")
	}
}

func (c *podCheck) dataSources(at *field.Path, s *corev1.PersistentVolumeClaimSpec) {
	ref := s.DataSourceRef
	if d := s.DataSource; d != nil {
		c.dataSource(at.Child("dataSource"), d.APIGroup, d.Kind, d.Name)
	}
	if ref == nil {
		return
	}
	c.dataSource(at.Child("dataSourceRef"), ref.APIGroup, ref.Kind, ref.Name)
	crossing := ref.Namespace != nil && *ref.Namespace != ""
	if crossing {
		c.each(at.Child("dataSourceRef", "namespace"), *ref.Namespace, validation.IsDNS1123Label(*ref.Namespace))
	}
	d := s.DataSource
	switch {
	case d == nil:
	case crossing:
		c.invalid(at, at.Child("dataSource"), "may not be specified when dataSourceRef.namespace is specified")
	case !reflect.DeepEqual(d.APIGroup, ref.APIGroup) || d.Kind != ref.Kind || d.Name != ref.Name:
		c.invalid(at, at.Child("dataSource"), "must match dataSourceRef")
	}
}

func (c *podCheck) dataSource(at *field.Path, group *string, kind, name string) {
	c.needs(at, "name", name, "kind", kind)
	if group != nil && *group != "" {
		c.subdomain(at.Child("apiGroup"), *group)
	} else if kind != "PersistentVolumeClaim" {
		c.invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
	}
}
