package local

import (
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission"
)

// MaxManifest is the size in bytes that a manifest's file may have. One document of
// it may have [admission.MaxDocument].
const MaxManifest = 64 << 20

// Decode reads a manifest strictly: the pods in it, and the configMaps and
// secrets that they may refer to; other kinds are errors. Nothing is returned half.
func Decode(manifest []byte) (pods []*corev1.Pod, others []admission.Object, err error) {
	objs, err := admission.Decode(manifest, "Pod", "ConfigMap", "Secret")
	if err != nil {
		return nil, nil, err
	}
	for _, o := range objs {
		if p, ok := o.(*corev1.Pod); ok {
			pods = append(pods, p)
		} else {
			others = append(others, o)
		}
	}
	return pods, others, nil
}

// DecodeFile is [Decode] of a file, a pipe among them, of which no more than
// MaxManifest bytes are read. Errors name it.
func DecodeFile(file string) (pods []*corev1.Pod, others []admission.Object, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxManifest+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > MaxManifest {
		return nil, nil, fmt.Errorf("%s: it has more than %d bytes, the limit of a manifest; run its pods from several files", file, MaxManifest)
	}
	if pods, others, err = Decode(text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return pods, others, nil
}
