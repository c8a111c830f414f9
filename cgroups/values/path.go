package values

import (
	"fmt"
	"path"
	"strings"
)

// Kubepods is the name of the cgroup that holds all pods.
const Kubepods = "kubepods"

const podPrefix = "pod"

// Name is a cgroup's name free of any driver: its parts from the top.
type Name []string

// TierName gives the cgroup of a class; Guaranteed pods lie in the top one.
func TierName(q QOS) Name {
	switch q {
	case Burstable:
		return Name{Kubepods, "burstable"}
	case BestEffort:
		return Name{Kubepods, "besteffort"}
	}
	return Name{Kubepods}
}

// PodName gives a pod's cgroup. A uid that could not be one part of a path in
// both drivers is an error.
func PodName(q QOS, uid string) (Name, error) {
	if uid == "" || len(uid) > 200 || strings.ContainsAny(uid, "/_\x00\n") {
		return nil, fmt.Errorf("pod uid %q cannot name a cgroup: it needs 1 to 200 characters without '/' and '_'", uid)
	}
	return append(TierName(q), podPrefix+uid), nil
}

// Cgroupfs gives the absolute path that the cgroupfs driver uses.
func (n Name) Cgroupfs() string { return "/" + path.Join(n...) }

// Systemd gives the absolute path that systemd gives to the slice: each slice is
// named by all parts above it, and '-' inside a part is written '_'.
func (n Name) Systemd() string {
	p, slice := "/", ""
	for _, part := range n {
		if slice != "" {
			slice += "-"
		}
		slice += strings.ReplaceAll(part, "-", "_")
		p = path.Join(p, slice+".slice")
	}
	return p
}

// Under gives the cgroupfs path below root ("/lifepod-1a2b3c4d"); an empty root
// is "/".
func (n Name) Under(root string) string { return path.Join("/", root, n.Cgroupfs()) }

// ContainerScope gives the path of a container's scope in a pod's slice, as a
// CRI runtime names it under the systemd driver. With cgroupfs a container's
// cgroup is the bare id below the pod's.
func ContainerScope(podSlice, prefix, id string) string {
	return path.Join(podSlice, prefix+"-"+id+".scope")
}

// SystemdCgroupsPath is the OCI spec's cgroupsPath for that scope.
func SystemdCgroupsPath(podSlice, prefix, id string) string {
	return path.Base(podSlice) + ":" + prefix + ":" + id
}

// ParsePod finds class and uid from a cgroupfs path below root, and false when
// it is not a pod's own cgroup.
func ParsePod(root, p string) (q QOS, uid string, ok bool) {
	rest, ok := strings.CutPrefix(path.Clean(p), Name{Kubepods}.Under(root)+"/")
	if !ok {
		return "", "", false
	}
	q = Guaranteed
	for _, c := range []QOS{Burstable, BestEffort} {
		if r, in := strings.CutPrefix(rest, TierName(c)[1]+"/"); in {
			q, rest = c, r
		}
	}
	uid, ok = strings.CutPrefix(rest, podPrefix)
	if !ok || uid == "" || strings.Contains(uid, "/") {
		return "", "", false
	}
	return q, uid, true
}
