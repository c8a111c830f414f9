package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/store/typed/core"
)

var effectName = sys.NewEffect("local/claim-name")

// record is a pod as its files have it.
type record struct {
	lifecycle.Record
	Memory plan.Memory
}

// holds says whether the pod still takes the node's resources.
func (r record) holds() bool {
	s := r.Memory.Status
	return s == nil || s.Phase != corev1.PodSucceeded && s.Phase != corev1.PodFailed
}

// records reads all pods of the root. A directory without a pod.json is a pod
// that was never begun, and is left out.
func (n *Node) records() ([]record, error) {
	entries, err := os.ReadDir(n.podsDir())
	if err != nil {
		return nil, err
	}
	var out []record
	for _, e := range entries {
		rec, err := n.read(types.UID(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

func (n *Node) read(uid types.UID) (record, error) {
	rec, err := lifecycle.ReadRecord(n.podDir(uid))
	if err != nil {
		return record{}, err
	}
	m, err := lifecycle.ReadMemory(n.podDir(uid))
	return record{rec, m}, err
}

// find reads the pod of a name: "name" in the namespace default, or
// "namespace/name".
func (n *Node) find(name string) (record, error) {
	ns, short := splitName(name)
	uid, err := os.ReadFile(n.nameFile(ns, short))
	if err == nil {
		var rec record
		if rec, err = n.read(types.UID(uid)); err == nil {
			return rec, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, apierrors.NewNotFound(core.Pod.GroupResource(), name)
	}
	return record{}, err
}

func splitName(name string) (namespace, short string) {
	if dir, base := filepath.Split(name); dir != "" {
		return filepath.Clean(dir), base
	}
	return corev1.NamespaceDefault, name
}

func (n *Node) nameFile(namespace, name string) string {
	return filepath.Join(n.o.Root, "names", namespace+"_"+name)
}

// claimName makes the pod's name its own under this root, in all processes.
func (n *Node) claimName(p *corev1.Pod) error {
	file := n.nameFile(p.Namespace, p.Name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp := file + "." + string(p.UID)
	defer os.Remove(tmp)
	if err := os.WriteFile(tmp, []byte(p.UID), 0o600); err != nil {
		return fmt.Errorf("claim the name %s/%s: %w", p.Namespace, p.Name, err)
	}
	for range 2 {
		err := effectName.Do(func() error { return os.Link(tmp, file) })
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if old, err := os.ReadFile(file); err == nil && !n.removeUnbegun(types.UID(old)) {
			return apierrors.NewAlreadyExists(core.Pod.GroupResource(), p.Name)
		}
		// Its pod is gone: a process died before it gave the name back.
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("claim the name %s/%s: it keeps being taken", p.Namespace, p.Name)
}

func (n *Node) releaseName(p *corev1.Pod) error {
	file := n.nameFile(p.Namespace, p.Name)
	if uid, err := os.ReadFile(file); err != nil || types.UID(uid) != p.UID {
		return nil //nolint:nilerr // another pod's name, or nobody's
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (n *Node) lockFile(uid types.UID) string { return filepath.Join(n.podDir(uid), "agent.lock") }

// touch notes with a pod's lock when a process was last seen to drive the pod.
func touch(lock *os.File) {
	now := time.Now()
	_ = os.Chtimes(lock.Name(), now, now) // the lock may have gone with the pod
}

// errLocked says that another process drives the pod.
var errLocked = errors.New("the pod is driven by another process")
