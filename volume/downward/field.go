package downward

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Field is the value of a metadata field of pod: metadata.name, .namespace,
// .uid, .labels, .annotations, or one label or annotation by subscript
// (metadata.labels['app']). It is all that a volume file may ask for; [Env]
// knows more.
func Field(pod *corev1.Pod, path string) (string, error) {
	if field, key, ok := split(path); ok {
		return subscripted(pod, path, field, key)
	}
	switch path {
	case "metadata.annotations":
		return lines(pod.Annotations), nil
	case "metadata.labels":
		return lines(pod.Labels), nil
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

func subscripted(pod *corev1.Pod, path, field, key string) (string, error) {
	var from map[string]string
	name := key
	switch field {
	case "metadata.annotations":
		from, name = pod.Annotations, strings.ToLower(key)
	case "metadata.labels":
		from = pod.Labels
	default:
		return "", fmt.Errorf("fieldPath %q does not support subscript", path)
	}
	if errs := validation.IsQualifiedName(name); len(errs) != 0 {
		return "", fmt.Errorf("invalid key subscript in %s: %s", path, strings.Join(errs, ";"))
	}
	return from[key], nil
}

// split cuts metadata.labels['k'] into its field and k.
func split(path string) (field, key string, ok bool) {
	s, ok := strings.CutSuffix(path, "']")
	if !ok {
		return path, "", false
	}
	field, key, ok = strings.Cut(s, "['")
	if !ok || field == "" {
		return path, "", false
	}
	return field, key, true
}

// lines writes m as sorted key="value" lines without a newline at the end.
func lines(m map[string]string) string {
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(k + "=" + strconv.Quote(m[k]))
	}
	return b.String()
}

// IPs are the addresses that an environment variable may ask for, the primary
// one first.
type IPs struct{ Host, Pod []string }

// errNoHostIP is what status.hostIP gives on a node whose address is not known.
var errNoHostIP = errors.New("host IP unknown; known addresses: []")

// plain are the paths whose value [Field] gives.
var plain = map[string]bool{
	"metadata.annotations": true, "metadata.labels": true, "metadata.name": true,
	"metadata.namespace": true, "metadata.uid": true,
	// Known to the API, but not to the node: Field refuses them by name.
	"spec.restartPolicy": true, "spec.schedulerName": true, "status.phase": true,
}

// Env is the value of the field that an environment variable asks for: what
// [Field] knows, spec.nodeName, spec.serviceAccountName, and the addresses.
func Env(ref *corev1.ObjectFieldSelector, pod *corev1.Pod, ips IPs) (string, error) {
	if ref.APIVersion != "v1" {
		return "", fmt.Errorf("unsupported pod version: %s", ref.APIVersion)
	}
	if field, _, ok := split(ref.FieldPath); ok {
		if field != "metadata.annotations" && field != "metadata.labels" {
			return "", fmt.Errorf("field label does not support subscript: %s", ref.FieldPath)
		}
		return Field(pod, ref.FieldPath)
	}
	switch ref.FieldPath {
	case "spec.nodeName", "spec.host":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		if len(ips.Host) == 0 {
			return "", errNoHostIP
		}
		if ref.FieldPath == "status.hostIP" {
			return ips.Host[0], nil
		}
		return strings.Join(ips.Host, ","), nil
	case "status.podIP":
		if len(ips.Pod) == 0 {
			return "", nil
		}
		return ips.Pod[0], nil
	case "status.podIPs":
		return strings.Join(ips.Pod, ","), nil
	}
	if !plain[ref.FieldPath] {
		return "", fmt.Errorf("field label not supported: %s", ref.FieldPath)
	}
	return Field(pod, ref.FieldPath)
}
