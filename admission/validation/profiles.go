package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/pod"
)

const (
	unconfined     = "unconfined"
	runtimeDefault = "runtime/default"
	dockerDefault  = "docker/default"
	localhost      = "localhost/"

	seccompPod       = "seccomp.security.alpha.kubernetes.io/pod"
	seccompContainer = "container.seccomp.security.alpha.kubernetes.io/"
	appArmorPrefix   = "container.apparmor.security.beta.kubernetes.io/"
)

// annotatedProfiles checks the annotations from before there were fields, and that
// they say the same as the fields.
func (c *podCheck) annotatedProfiles(spec *field.Path) {
	at := field.NewPath("metadata", "annotations")
	for key, v := range c.pod.Annotations {
		switch {
		case key == seccompPod || strings.HasPrefix(key, seccompContainer):
			c.seccompName(at.Child(key), v)
		case strings.HasPrefix(key, appArmorPrefix):
			name := strings.TrimPrefix(key, appArmorPrefix)
			if _, kind := pod.Find(c.spec, name); kind == 0 {
				c.invalid(at.Key(key), name, "container not found")
			}
			if v != "" && v != runtimeDefault && v != unconfined && !strings.HasPrefix(v, localhost) {
				c.invalid(at.Key(key), v, sprintf("invalid AppArmor profile name: %q", v))
			}
		}
	}
	c.sameSeccomp(spec)
	c.sameAppArmor(spec)
}

func (c *podCheck) seccompName(at *field.Path, v string) {
	switch {
	case v == runtimeDefault, v == dockerDefault, v == unconfined:
	case strings.HasPrefix(v, localhost):
		c.descending(at, strings.TrimPrefix(v, localhost))
	default:
		c.invalid(at, v, "must be a valid seccomp profile")
	}
}

func (c *podCheck) sameSeccomp(spec *field.Path) {
	compare := func(at *field.Path, key string, p *corev1.SeccompProfile) {
		v, ok := c.pod.Annotations[key]
		if p == nil || !ok {
			return
		}
		at = at.Child("securityContext", "seccompProfile")
		var same bool
		switch p.Type {
		case corev1.SeccompProfileTypeUnconfined:
			same = v == unconfined
		case corev1.SeccompProfileTypeRuntimeDefault:
			same = v == runtimeDefault || v == dockerDefault
		case corev1.SeccompProfileTypeLocalhost:
			same = strings.HasPrefix(v, localhost)
			if same && (p.LocalhostProfile == nil || strings.TrimPrefix(v, localhost) != *p.LocalhostProfile) {
				c.forbidden(at.Child("localhostProfile"), "seccomp profile in annotation and field must match")
			}
		default:
			same = true
		}
		if !same {
			c.forbidden(at.Child("type"), "seccomp type in annotation and field must match")
		}
	}
	if sc := c.spec.SecurityContext; sc != nil {
		compare(spec, seccompPod, sc.SeccompProfile)
	}
	for at, ctr := range c.all(spec) {
		if ctr.SecurityContext != nil {
			compare(at, seccompContainer+ctr.Name, ctr.SecurityContext.SeccompProfile)
		}
	}
}

func (c *podCheck) sameAppArmor(spec *field.Path) {
	if c.spec.OS != nil && c.spec.OS.Name == corev1.Windows {
		return
	}
	for at, ctr := range c.all(spec) {
		v, ok := c.pod.Annotations[appArmorPrefix+ctr.Name]
		p := c.effectiveAppArmor(ctr)
		if p == nil || !ok {
			continue
		}
		at = at.Child("securityContext", "appArmorProfile")
		same := true
		switch p.Type {
		case corev1.AppArmorProfileTypeUnconfined:
			same = v == unconfined
		case corev1.AppArmorProfileTypeRuntimeDefault:
			same = v == runtimeDefault
		case corev1.AppArmorProfileTypeLocalhost:
			same = strings.HasPrefix(v, localhost)
			if same && (p.LocalhostProfile == nil || strings.TrimPrefix(v, localhost) != *p.LocalhostProfile) {
				c.forbidden(at.Child("localhostProfile"), "apparmor profile in annotation and field must match")
			}
		}
		if !same {
			c.forbidden(at.Child("type"), "apparmor type in annotation and field must match")
		}
	}
}

func (c *podCheck) effectiveAppArmor(ctr *corev1.Container) *corev1.AppArmorProfile {
	if ctr.SecurityContext != nil && ctr.SecurityContext.AppArmorProfile != nil {
		return ctr.SecurityContext.AppArmorProfile
	}
	if c.spec.SecurityContext != nil {
		return c.spec.SecurityContext.AppArmorProfile
	}
	return nil
}
