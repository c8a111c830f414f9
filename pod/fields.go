package pod

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Addresses are the addresses that only the node knows. The first of each list
// is the primary one.
type Addresses struct{ HostIPs, PodIPs []string }

// FieldValue returns what an environment variable's fieldRef stands for. Status
// fields come from a; an address that is not known is "" for the pod and an
// error for the host, which has one before any pod.
func FieldValue(p *corev1.Pod, ref *corev1.ObjectFieldSelector, a Addresses) (string, error) {
	if ref.APIVersion != "v1" {
		return "", fmt.Errorf("unsupported pod version: %s", ref.APIVersion)
	}
	path := ref.FieldPath
	base, _, subscripted := splitSubscript(path)
	if subscripted && base != "metadata.annotations" && base != "metadata.labels" {
		return "", fmt.Errorf("field label does not support subscript: %s", path)
	}
	switch path {
	case "spec.nodeName", "spec.host": // the second is its name of old
		return p.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return p.Spec.ServiceAccountName, nil
	case "status.podIP":
		return first(a.PodIPs), nil
	case "status.podIPs":
		return strings.Join(a.PodIPs, ","), nil
	case "status.hostIP", "status.hostIPs":
		if len(a.HostIPs) == 0 {
			return "", fmt.Errorf("the node has no address for %s", path)
		}
		if path == "status.hostIP" {
			return a.HostIPs[0], nil
		}
		return strings.Join(a.HostIPs, ","), nil
	}
	if !subscripted && !slices.Contains(metadata, path) && !slices.Contains(labelOnly, path) {
		return "", fmt.Errorf("field label not supported: %s", path)
	}
	return MetadataValue(p, path)
}

// metadata are the paths that MetadataValue knows besides those with a subscript.
var metadata = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}

// labelOnly are paths that can select pods but have no value for a container;
// they get another error.
var labelOnly = []string{"spec.restartPolicy", "spec.schedulerName", "status.phase"}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

// MetadataValue returns what a downward API volume's fieldRef stands for:
// metadata.name, .namespace, .uid, all labels or annotations, or one of them as
// in metadata.labels['app']. A label that is not there is "".
func MetadataValue(p *corev1.Pod, path string) (string, error) {
	if base, key, ok := splitSubscript(path); ok {
		return subscript(p, path, base, key)
	}
	switch path {
	case "metadata.annotations":
		return formatMap(p.Annotations), nil
	case "metadata.labels":
		return formatMap(p.Labels), nil
	case "metadata.name":
		return p.Name, nil
	case "metadata.namespace":
		return p.Namespace, nil
	case "metadata.uid":
		return string(p.UID), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

func subscript(p *corev1.Pod, path, base, key string) (string, error) {
	values, name := p.Labels, key
	switch base {
	case "metadata.annotations":
		values, name = p.Annotations, strings.ToLower(key)
	case "metadata.labels":
	default:
		return "", fmt.Errorf("fieldPath %q does not support subscript", path)
	}
	if errs := validation.IsQualifiedName(name); len(errs) != 0 {
		return "", fmt.Errorf("invalid key subscript in %s: %s", path, strings.Join(errs, ";"))
	}
	return values[key], nil
}

// splitSubscript takes metadata.labels['app'] apart.
func splitSubscript(path string) (base, key string, ok bool) {
	s, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	base, key, ok = strings.Cut(s, "['")
	return base, key, ok && base != ""
}

// formatMap writes a map as lines of key="value", sorted by key.
func formatMap(m map[string]string) string {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(b) > 0 {
			b = append(b, '\n')
		}
		b = append(append(b, k...), '=')
		b = strconv.AppendQuote(b, m[k])
	}
	return string(b)
}
