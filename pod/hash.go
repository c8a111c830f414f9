package pod

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/dump"
)

// HashContainer is the kubelet's hash of a container's spec: of its name and
// image, the only fields that may change while it lives. The runtime keeps it with
// the container; one whose hash is another runs another version of its spec.
func HashContainer(c *corev1.Container) uint32 {
	b, _ := json.Marshal(map[string]string{"name": c.Name, "image": c.Image}) // cannot fail
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(b))
	return h.Sum32()
}
