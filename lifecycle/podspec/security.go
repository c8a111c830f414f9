package podspec

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Namespaces says which namespaces the pod's containers share: network and IPC
// with the pod or the node, PID with nobody, the pod or the node.
func Namespaces(pod *corev1.Pod) *runtimeapi.NamespaceOption {
	o := &runtimeapi.NamespaceOption{
		Network: runtimeapi.NamespaceMode_POD,
		Ipc:     runtimeapi.NamespaceMode_POD,
		Pid:     runtimeapi.NamespaceMode_CONTAINER,
		// No user namespace of its own; without the option, said as older
		// kubelets did, a runtime would do the same.
		UsernsOptions: &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_NODE},
	}
	if pod.Spec.HostNetwork {
		o.Network = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostIPC {
		o.Ipc = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostPID {
		o.Pid = runtimeapi.NamespaceMode_NODE
	} else if s := pod.Spec.ShareProcessNamespace; s != nil && *s {
		o.Pid = runtimeapi.NamespaceMode_POD
	}
	return o
}

// effective is the container's security context with the pod's values where it
// sets none. It is never nil.
func effective(pod *corev1.Pod, c *corev1.Container) *corev1.SecurityContext {
	out := &corev1.SecurityContext{}
	if c.SecurityContext != nil {
		*out = *c.SecurityContext
	}
	sc := pod.Spec.SecurityContext
	if sc == nil {
		return out
	}
	inherit(&out.SELinuxOptions, sc.SELinuxOptions)
	inherit(&out.RunAsUser, sc.RunAsUser)
	inherit(&out.RunAsGroup, sc.RunAsGroup)
	inherit(&out.RunAsNonRoot, sc.RunAsNonRoot)
	inherit(&out.SeccompProfile, sc.SeccompProfile)
	return out
}

func inherit[T any](field **T, from *T) {
	if *field == nil {
		*field = from
	}
}

// imageUser is the user that an image's config names: a uid, or a name. An
// image that names none runs as root.
func imageUser(image *runtimeapi.Image) (uid *int64, name string) {
	switch {
	case image != nil && image.Uid != nil:
		return &image.Uid.Value, ""
	case image != nil && image.Username != "":
		return nil, image.Username
	}
	return new(int64), ""
}

// checkNonRoot says why a container that must not run as root would, or might.
func checkNonRoot(pod *corev1.Pod, c *corev1.Container, sc *corev1.SecurityContext, uid *int64, name string) error {
	if sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot {
		return nil
	}
	who := fmt.Sprintf("(pod: %q, container: %s)", fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), c.Name)
	switch {
	case sc.RunAsUser != nil && *sc.RunAsUser == 0:
		return fmt.Errorf("container's runAsUser breaks non-root policy %s", who)
	case sc.RunAsUser != nil:
		return nil
	case uid == nil && name != "":
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, who)
	case uid == nil:
		return nil
	case *uid == 0:
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", who)
	}
	if errs := validation.IsValidUserID(*uid); len(errs) > 0 {
		return fmt.Errorf("container has runAsNonRoot and image has an invalid user id (%d). (Must be 1-(%d)): %s %s",
			*uid, math.MaxInt32, strings.Join(errs, "; "), who)
	}
	return nil
}

func int64Value(v *int64) *runtimeapi.Int64Value {
	if v == nil {
		return nil
	}
	return &runtimeapi.Int64Value{Value: *v}
}

func selinux(o *corev1.SELinuxOptions) *runtimeapi.SELinuxOption {
	if o == nil {
		return nil
	}
	return &runtimeapi.SELinuxOption{User: o.User, Role: o.Role, Type: o.Type, Level: o.Level}
}

func capabilities(c *corev1.Capabilities) *runtimeapi.Capability {
	if c == nil {
		return nil
	}
	out := &runtimeapi.Capability{AddCapabilities: []string{}, DropCapabilities: []string{}}
	for _, v := range c.Add {
		out.AddCapabilities = append(out.AddCapabilities, string(v))
	}
	for _, v := range c.Drop {
		out.DropCapabilities = append(out.DropCapabilities, string(v))
	}
	return out
}

// groups are the pod's supplemental groups, fsGroup first.
func groups(sc *corev1.PodSecurityContext) ([]int64, runtimeapi.SupplementalGroupsPolicy, error) {
	var out []int64
	if sc.FSGroup != nil {
		out = append(out, *sc.FSGroup)
	}
	out = append(out, sc.SupplementalGroups...)
	if sc.SupplementalGroupsPolicy == nil {
		return out, runtimeapi.SupplementalGroupsPolicy_Merge, nil
	}
	p, ok := runtimeapi.SupplementalGroupsPolicy_value[string(*sc.SupplementalGroupsPolicy)]
	if !ok {
		return nil, 0, fmt.Errorf("unsupported supplementalGroupsPolicy: %s", *sc.SupplementalGroupsPolicy)
	}
	return out, runtimeapi.SupplementalGroupsPolicy(p), nil
}

func profile(t runtimeapi.SecurityProfile_ProfileType, ref string) *runtimeapi.SecurityProfile {
	return &runtimeapi.SecurityProfile{ProfileType: t, LocalhostRef: ref}
}

// seccomp turns the effective profile into the runtime's; without one it is the
// runtime's default when byDefault is set, else none.
func seccomp(p *corev1.SeccompProfile, root string, byDefault bool) (*runtimeapi.SecurityProfile, error) {
	switch {
	case p == nil && byDefault, p != nil && p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return profile(runtimeapi.SecurityProfile_RuntimeDefault, ""), nil
	case p != nil && p.Type == corev1.SeccompProfileTypeLocalhost:
		if p.LocalhostProfile == nil || *p.LocalhostProfile == "" {
			return nil, errors.New("localhostProfile must be set if seccompProfile type is Localhost.") //nolint:staticcheck // Kubernetes' text
		}
		return profile(runtimeapi.SecurityProfile_Localhost, filepath.Join(root, *p.LocalhostProfile)), nil
	}
	return profile(runtimeapi.SecurityProfile_Unconfined, ""), nil
}

// appArmorProfile is the container's profile, else the one of its annotation
// (which pods from before the field carry), else the pod's.
func appArmorProfile(pod *corev1.Pod, c *corev1.Container) *corev1.AppArmorProfile {
	if sc := c.SecurityContext; sc != nil && sc.AppArmorProfile != nil {
		return sc.AppArmorProfile
	}
	switch old := pod.Annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+c.Name]; {
	case old == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	case old == corev1.DeprecatedAppArmorBetaProfileNameUnconfined:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	case strings.HasPrefix(old, corev1.DeprecatedAppArmorBetaProfileNamePrefix):
		name := strings.TrimPrefix(old, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	}
	if sc := pod.Spec.SecurityContext; sc != nil {
		return sc.AppArmorProfile
	}
	return nil
}

// appArmor gives the profile in the runtime's form and in its older, textual one.
func appArmor(p *corev1.AppArmorProfile) (*runtimeapi.SecurityProfile, string, error) {
	switch {
	case p == nil:
		return nil, "", nil
	case p.Type == corev1.AppArmorProfileTypeRuntimeDefault:
		return profile(runtimeapi.SecurityProfile_RuntimeDefault, ""), corev1.DeprecatedAppArmorBetaProfileRuntimeDefault, nil
	case p.Type == corev1.AppArmorProfileTypeUnconfined:
		return profile(runtimeapi.SecurityProfile_Unconfined, ""), corev1.DeprecatedAppArmorBetaProfileNameUnconfined, nil
	case p.Type != corev1.AppArmorProfileTypeLocalhost:
		return nil, "", fmt.Errorf("unknown apparmor profile type: %q", p.Type)
	case p.LocalhostProfile == nil:
		return nil, "", errors.New("missing localhost apparmor profile name")
	}
	name := *p.LocalhostProfile
	return profile(runtimeapi.SecurityProfile_Localhost, name), corev1.DeprecatedAppArmorBetaProfileNamePrefix + name, nil
}
