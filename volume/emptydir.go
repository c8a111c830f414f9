package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/pod"
)

// emptyDir is a directory that lives as long as the pod.
type emptyDir struct{}

var _ Plugin = emptyDir{}

func (emptyDir) Name() string { return "kubernetes.io/empty-dir" }

// Supports is also true for a volume without any source, which means emptyDir.
func (emptyDir) Supports(v *corev1.Volume) bool {
	return v.EmptyDir != nil || v.VolumeSource == corev1.VolumeSource{}
}

func (e emptyDir) SetUp(_ context.Context, m Mount) (Mounted, error) {
	done := Mounted{Name: m.Volume.Name, Path: m.Path}
	source := m.Volume.EmptyDir
	if source == nil {
		source = &corev1.EmptyDirVolumeSource{}
	}
	// What containers may have written to is never touched again: a link of
	// theirs could lead the change of an owner elsewhere.
	mark := readyMark(m.Path)
	if _, err := os.Lstat(mark); err == nil {
		if ok, err := stillThere(m.Path, source.Medium); ok || err != nil {
			return done, err
		}
	}
	if err := e.make(m, source, mark); err != nil {
		return Mounted{}, errors.Join(err, clean(m.Path))
	}
	return done, nil
}

// stillThere says whether a volume that was ready is; a memory volume is gone
// after a reboot though its directory is not.
func stillThere(path string, medium corev1.StorageMedium) (bool, error) {
	if medium == corev1.StorageMediumMemory {
		return isMounted(path)
	}
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (emptyDir) make(m Mount, source *corev1.EmptyDirVolumeSource, mark string) error {
	if err := makeDir(m.Path); err != nil {
		return err
	}
	switch source.Medium {
	case corev1.StorageMediumDefault:
	case corev1.StorageMediumMemory:
		if err := mountTmpfs(m.Path, memorySize(m, source.SizeLimit)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown storage medium %q", source.Medium)
	}
	if g := fsGroup(m.Pod); g != nil {
		if err := giveToGroup(m.Path, *g, false); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(mark), 0o750); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

// readyMark is the file that says that the volume at path is complete:
// <dir>/plugins/kubernetes.io~empty-dir/<volume>/ready.
func readyMark(path string) string {
	dir := filepath.Join(path, "..", "..", "..")
	return filepath.Join(dir, pluginsDir, filepath.Base(filepath.Dir(path)), filepath.Base(path), "ready")
}

func (emptyDir) TearDown(_ context.Context, path string) error {
	if err := removeTree(filepath.Dir(readyMark(path))); err != nil {
		return err
	}
	return clean(path)
}

// memorySize is how much a memory volume may hold: the least of the node's
// memory for pods, the pod's limit and the volume's own. Zero is no bound.
func memorySize(m Mount, limit *resource.Quantity) int64 {
	size := int64(0)
	least := func(q *resource.Quantity) {
		if q != nil && q.Value() > 0 && (size == 0 || q.Value() <= size) {
			size = q.Value()
		}
	}
	least(m.Node.memory())
	if pod.LimitsDeclared(m.Pod, corev1.ResourceMemory) {
		q := pod.Limits(m.Pod)[corev1.ResourceMemory]
		least(&q)
	}
	least(limit)
	return size
}
