package lifecycle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podspec"
)

// Record is a pod as it was admitted, and the request to end it: the file
// pod.json. It is synced to disk at each change.
type Record struct {
	Pod      *corev1.Pod    `json:"pod"`
	Deletion *plan.Deletion `json:"deletion,omitempty"`
}

// podDir is a pod's directory under the root: <root>/pods/<uid>.
type podDir string

func (d podDir) record() string { return filepath.Join(string(d), "pod.json") }
func (d podDir) memory() string { return filepath.Join(string(d), "status.json") }

// ReadRecord reads the pod.json in dir. An empty one counts as none
// (fs.ErrNotExist): Start had not returned when the machine went down.
func ReadRecord(dir string) (Record, error) {
	var rec Record
	b, err := os.ReadFile(podDir(dir).record())
	if err != nil {
		return rec, err
	}
	if len(b) == 0 {
		return rec, fmt.Errorf("read %s: the machine went down before the pod was begun: %w", podDir(dir).record(), fs.ErrNotExist)
	}
	if err := json.Unmarshal(b, &rec); err != nil || rec.Pod == nil {
		err = cmp.Or(err, errors.New("it holds no pod"))
		return rec, fmt.Errorf("read %s: it is damaged (%w); remove the directory to forget the pod", podDir(dir).record(), err)
	}
	return rec, nil
}

// WriteRecord replaces the pod.json in dir, durably.
func WriteRecord(dir string, rec Record) error { return writeRecord(dir, rec, true) }

func writeRecord(dir string, rec Record, sync bool) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return sys.WriteFile(podDir(dir).record(), b, 0o600, sync)
}

// ReadMemory reads what was last decided about the pod in dir; a file that is
// missing or damaged gives the zero value, with which a pod is taken up from
// what the runtime shows.
func ReadMemory(dir string) (plan.Memory, error) {
	var m plan.Memory
	b, err := sys.ReadRewritten(podDir(dir).memory())
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if json.Unmarshal(b, &m) != nil {
		return plan.Memory{}, nil //nolint:nilerr // a damaged file is as good as none
	}
	return m, nil
}

// remember saves m before anything is done that follows from it.
func (w *worker) remember(m plan.Memory) error {
	w.memory = m
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("pod %s: %w", w.name(), err)
	}
	if bytes.Equal(b, w.saved) {
		return nil
	}
	if err := sys.Rewrite(w.dir.memory(), b, 0o600); err != nil {
		return fmt.Errorf("pod %s: save its status: %w", w.name(), err)
	}
	w.saved = b
	return nil
}

// forget removes the pod's directories: nothing of the pod is left, as in
// Kubernetes its logs neither.
func (w *worker) forget() error {
	return effectForget.Do(func() error {
		if err := os.RemoveAll(podspec.LogDirectory(w.r.LogDir, w.pod())); err != nil {
			return err
		}
		return os.RemoveAll(string(w.dir))
	})
}

var effectForget = sys.NewEffect("lifecycle/forget-pod")
