package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/lifepod/lifepod/lifecycle/plan"
	podmeaning "github.com/lifepod/lifepod/pod"
)

// ErrImmutable says that an update would change what a pod keeps for its life.
var ErrImmutable = errors.New("pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)") //nolint:staticcheck // Kubernetes' text

// Update gives a pod that is driven a new spec. Images, activeDeadlineSeconds and
// tolerations may differ from the present one, and the metadata and the
// conditions of its status that others set (readiness gates); any other change is
// ErrImmutable. A container whose image differs is stopped and started again.
// The new pod is on disk before Update returns. An unknown pod is not an error.
func (r *Runner) Update(pod *corev1.Pod) error {
	w := r.worker(pod.UID)
	if w == nil {
		return nil
	}
	pod = pod.DeepCopy()
	w.mu.Lock()
	old := w.pod()
	err := mayUpdate(old, pod)
	if err == nil {
		w.current.Store(pod)
	}
	w.mu.Unlock()
	if err == nil && !equality.Semantic.DeepEqual(old, pod) {
		w.poke()
		err = w.saveRecord()
	}
	if err != nil {
		return fmt.Errorf("update pod %s: %w", w.name(), err)
	}
	return nil
}

// saveRecord writes what the pod shall be. Whoever writes last writes the newest.
func (w *worker) saveRecord() error {
	w.recordMu.Lock()
	defer w.recordMu.Unlock()
	w.mu.Lock()
	rec := Record{Pod: w.pod(), Deletion: w.deletion}
	w.mu.Unlock()
	if err := WriteRecord(string(w.dir), rec); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// mayUpdate compares what must stay.
func mayUpdate(old, pod *corev1.Pod) error {
	if old.Name != pod.Name || old.Namespace != pod.Namespace {
		return ErrImmutable
	}
	for _, t := range old.Spec.Tolerations {
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(n corev1.Toleration) bool { return reflect.DeepEqual(t, n) }) {
			return ErrImmutable
		}
	}
	if was, is := old.Spec.ActiveDeadlineSeconds, pod.Spec.ActiveDeadlineSeconds; was != nil && (is == nil || *is > *was) {
		return fmt.Errorf("spec.activeDeadlineSeconds: must be less than or equal to previous value: %w", ErrImmutable)
	}
	// What may change is made equal; then nothing else may differ.
	same := pod.Spec.DeepCopy()
	same.Tolerations, same.ActiveDeadlineSeconds = old.Spec.Tolerations, old.Spec.ActiveDeadlineSeconds
	if g := old.Spec.TerminationGracePeriodSeconds; g != nil && *g < 0 && same.TerminationGracePeriodSeconds != nil && *same.TerminationGracePeriodSeconds == 1 {
		same.TerminationGracePeriodSeconds = g
	}
	for c := range podmeaning.Containers(same, podmeaning.Main) {
		if was, _ := podmeaning.Find(&old.Spec, c.Name); was != nil {
			c.Image = was.Image
		}
	}
	if !equality.Semantic.DeepEqual(&old.Spec, same) {
		return ErrImmutable
	}
	return nil
}

// wishes are what others want of a pod and have learnt of it, beside what the
// runtime shows. A change of it is something new to plan with.
type wishes struct {
	pod      *corev1.Pod
	deletion *plan.Deletion
	eviction *plan.Eviction
	probes   []plan.ProbeVerdict
}

// news says whether in differs from the last plan's in what was asked.
func (w *worker) news(in plan.Input) bool {
	now := wishes{in.Pod, in.Deletion, in.Eviction, in.Probes}
	defer func() { w.heard = now }()
	return w.heard.pod != now.pod || w.heard.deletion != now.deletion || w.heard.eviction != now.eviction ||
		!slices.Equal(w.heard.probes, now.probes)
}
