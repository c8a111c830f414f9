package podspec

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/dump"
)

// Hash is the kubelet's hash of a container: a container runs another version
// of its spec when this differs from its [AnnotationHash] (which is in
// hexadecimal). Only name and image count.
func Hash(c *corev1.Container) uint32 {
	b, _ := json.Marshal(map[string]string{"name": c.Name, "image": c.Image})
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(b))
	return h.Sum32()
}
