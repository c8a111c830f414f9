package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *podCheck) env(at *field.Path, vars []corev1.EnvVar) {
	for i, v := range vars {
		here := at.Index(i)
		if c.need(here.Child("name"), v.Name) {
			c.each(here.Child("name"), v.Name, validation.IsRelaxedEnvVarName(v.Name))
		}
		if v.ValueFrom != nil {
			c.envSource(here.Child("valueFrom"), v)
		}
	}
}

func (c *podCheck) envSource(at *field.Path, v corev1.EnvVar) {
	from, n := v.ValueFrom, 0
	if f := from.FieldRef; f != nil {
		n++
		c.fieldRef(at.Child("fieldRef"), f, envFields)
	}
	if f := from.ResourceFieldRef; f != nil {
		n++
		c.resourceFieldRef(at.Child("resourceFieldRef"), f, false)
	}
	if k := from.ConfigMapKeyRef; k != nil {
		n++
		c.keyRef(at.Child("configMapKeyRef"), k.Name, k.Key)
	}
	if k := from.SecretKeyRef; k != nil {
		n++
		c.keyRef(at.Child("secretKeyRef"), k.Name, k.Key)
	}
	if k := from.FileKeyRef; k != nil {
		n++
		c.fileKeyRef(at.Child("fileKeyRef"), k)
	}
	switch {
	case n == 0:
		c.invalid(at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
	case v.Value != "":
		c.invalid(at, "", "may not be specified when `value` is not empty")
	case n > 1:
		c.invalid(at, "", "may not have more than one field specified at a time")
	}
}

func (c *podCheck) keyRef(at *field.Path, name, key string) {
	c.each(at.Child("name"), name, apivalidation.NameIsDNSSubdomain(name, false))
	if c.need(at.Child("key"), key) {
		c.each(at.Child("key"), key, validation.IsConfigMapKey(key))
	}
}

func (c *podCheck) fileKeyRef(at *field.Path, k *corev1.FileKeySelector) {
	if c.need(at.Child("key"), k.Key) {
		c.each(at.Child("key"), k.Key, validation.IsRelaxedEnvVarName(k.Key))
	}
	if c.need(at.Child("volumeName"), k.VolumeName) {
		c.label(at.Child("volumeName"), k.VolumeName)
	}
	if c.need(at.Child("path"), k.Path) {
		c.noBacksteps(at.Child("path"), k.Path)
	}
}

// fileKeyVolumes checks that files of variables lie in an emptyDir of the pod.
func (c *podCheck) fileKeyVolumes(at *field.Path) {
	for path, ctr := range c.all(at) {
		for i, v := range ctr.Env {
			if v.ValueFrom == nil || v.ValueFrom.FileKeyRef == nil {
				continue
			}
			name := v.ValueFrom.FileKeyRef.VolumeName
			here := path.Child("env").Index(i).Child("valueFrom", "fileKeyRef", "volumeName")
			if source := c.volume(name); source == nil {
				c.add(field.NotFound(here, name))
			} else if source.EmptyDir == nil {
				c.invalid(here, name, "referenced volume must be of type emptyDir")
			}
		}
	}
}

// volume returns the last volume of that name, sound or not.
func (c *podCheck) volume(name string) (out *corev1.VolumeSource) {
	for i := range c.spec.Volumes {
		if c.spec.Volumes[i].Name == name {
			out = &c.spec.Volumes[i].VolumeSource
		}
	}
	return out
}

func (c *podCheck) envFrom(at *field.Path, sources []corev1.EnvFromSource) {
	for i, s := range sources {
		here := at.Index(i)
		if s.Prefix != "" {
			c.each(here.Child("prefix"), s.Prefix, validation.IsRelaxedEnvVarName(s.Prefix))
		}
		n := 0
		for _, ref := range []struct {
			field string
			set   bool
			name  func() string
		}{
			{"configMapRef", s.ConfigMapRef != nil, func() string { return s.ConfigMapRef.Name }},
			{"secretRef", s.SecretRef != nil, func() string { return s.SecretRef.Name }},
		} {
			if !ref.set {
				continue
			}
			n++
			if name := ref.name(); c.need(here.Child(ref.field, "name"), name) {
				c.each(here.Child(ref.field, "name"), name, apivalidation.NameIsDNSSubdomain(name, true))
			}
		}
		switch {
		case n == 0:
			c.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
		case n > 1:
			c.invalid(at, "", "may not have more than one field specified at a time")
		}
	}
}

// Fields that variables and files can show.
var (
	envFields = []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
	fileFields = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	// knownFields are all that a reference may name at all.
	knownFields = append([]string{"metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName",
		"status.phase"}, envFields...)
)

func (c *podCheck) fieldRef(at *field.Path, f *corev1.ObjectFieldSelector, allowed []string) {
	if !c.need(at.Child("apiVersion"), f.APIVersion) || !c.need(at.Child("fieldPath"), f.FieldPath) {
		return
	}
	cannot := func(why string) {
		c.invalid(at.Child("fieldPath"), f.FieldPath, "error converting fieldPath: "+why)
	}
	if f.APIVersion != "v1" {
		cannot("unsupported pod version: " + f.APIVersion)
		return
	}
	path := f.FieldPath
	base, subscript, ok := subscripted(path)
	switch {
	case ok && base == "metadata.annotations":
		c.qualified(at, strings.ToLower(subscript))
	case ok && base == "metadata.labels":
		c.qualified(at, subscript)
	case ok:
		cannot("field label does not support subscript: " + path)
	case path == "spec.host":
		oneOf(&c.report, at.Child("fieldPath"), "spec.nodeName", allowed...)
	case !contains(knownFields, path):
		cannot("field label not supported: " + path)
	default:
		oneOf(&c.report, at.Child("fieldPath"), path, allowed...)
	}
}

func contains(list []string, v string) bool {
	for _, s := range list {
		if s == v {
			return true
		}
	}
	return false
}

// subscripted splits metadata.labels['key'].
func subscripted(path string) (base, key string, ok bool) {
	head, found := strings.CutSuffix(path, "']")
	if !found {
		return "", "", false
	}
	base, key, ok = strings.Cut(head, "['")
	return base, key, ok && base != ""
}

var resourceFields = []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory",
	"requests.cpu", "requests.ephemeral-storage", "requests.memory"}

func (c *podCheck) resourceFieldRef(at *field.Path, f *corev1.ResourceFieldSelector, inFile bool) {
	huge := strings.HasPrefix(f.Resource, "limits.hugepages-") || strings.HasPrefix(f.Resource, "requests.hugepages-")
	switch {
	case inFile && f.ContainerName == "":
		c.required(at.Child("containerName"), "")
	case f.Resource == "":
		c.required(at.Child("resource"), "")
	case !huge:
		oneOf(&c.report, at.Child("resource"), f.Resource, resourceFields...)
	}
	c.divisor(at.Child("divisor"), f, huge)
}

const bytesDivisors = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"

func (c *podCheck) divisor(at *field.Path, f *corev1.ResourceFieldSelector, huge bool) {
	if f.Divisor.Cmp(resource.Quantity{}) == 0 {
		return
	}
	allowed, what := bytesDivisors, ""
	_, name, _ := strings.Cut(f.Resource, ".")
	switch {
	case huge:
		what = "hugepages"
	case name == "cpu":
		allowed, what = "1m and 1", "cpu"
	case name == "memory":
		what = "memory"
	case name == "ephemeral-storage":
		what = "local ephemeral storage"
	default:
		return
	}
	list := strings.Split(strings.ReplaceAll(allowed, " and ", ", "), ", ")
	if !contains(list, f.Divisor.String()) {
		c.invalid(at, f.Resource, sprintf("only divisor's values %s are supported with the %s resource", allowed, what))
	}
}
