package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/lifecycle"
)

// lockNew makes a new pod's directory and locks it. Others may look at the
// directory, or remove it as left over, until the lock is ours.
func (n *Node) lockNew(uid types.UID) (*os.File, error) {
	for {
		if err := os.MkdirAll(n.podDir(uid), 0o700); err != nil {
			return nil, err
		}
		lock, err := tryLock(n.lockFile(uid))
		if !isGone(err) && !errors.Is(err, errLocked) {
			return lock, err
		}
	}
}

// sweep removes what processes left that died before they had written a pod
// down, or while they forgot it.
func (n *Node) sweep() {
	dirs, _ := os.ReadDir(n.podsDir())
	for _, d := range dirs {
		n.removeUnbegun(types.UID(d.Name()))
	}
	names := filepath.Join(n.o.Root, "names")
	files, _ := os.ReadDir(names)
	for _, f := range files {
		// A claim under way is called after its pod, whose directory is there.
		owner := f.Name()[strings.LastIndexByte(f.Name(), '.')+1:]
		if uid, err := os.ReadFile(filepath.Join(names, f.Name())); err == nil && len(uid) > 0 {
			owner = string(uid)
		}
		if !exists(n.podDir(types.UID(owner))) {
			_ = os.Remove(filepath.Join(names, f.Name()))
		}
	}
	_, secrets := n.objectFiles("")
	files, _ = os.ReadDir(filepath.Dir(secrets))
	for _, f := range files {
		if uid, _, ok := strings.Cut(strings.TrimPrefix(f.Name(), ".tmp-"), ".json"); ok && !exists(n.podDir(types.UID(uid))) {
			n.logError(n.forgetSecrets(types.UID(uid)), "remove the secrets of a pod that is gone", uid)
		}
	}
}

func (n *Node) logError(err error, what, uid string) {
	if err != nil {
		n.o.Log.Error(err, what, "uid", uid)
	}
}

// removeUnbegun removes a pod's directory in which there is no pod.json, unless
// a process is at work there. It tells whether there is no directory any more.
func (n *Node) removeUnbegun(uid types.UID) (gone bool) {
	if n.podDir(uid) == n.podsDir() {
		return true // a name that is nobody's
	}
	if fi, err := os.Stat(filepath.Join(n.podDir(uid), "pod.json")); err == nil && fi.Size() > 0 {
		return false
	}
	lock, err := tryLock(n.lockFile(uid))
	if err != nil {
		return isGone(err)
	}
	defer lock.Close()
	if _, err := lifecycle.ReadRecord(n.podDir(uid)); !isGone(err) {
		return false
	}
	err = errors.Join(n.forgetSecrets(uid), os.RemoveAll(n.podDir(uid)))
	n.logError(err, "remove what is left of a pod", string(uid))
	return err == nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
