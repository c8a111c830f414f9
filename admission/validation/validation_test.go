package validation_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/admission/validation"
)

// line is one pod of the corpus and what the real code said to it.
type line struct {
	ID             string
	Mutations      []string
	In             *corev1.Pod
	PreparedSpec   *corev1.PodSpec
	PreparedStatus corev1.PodStatus
	Errors         []fieldError
}

type fieldError struct{ Type, Field, Detail string }

func corpus(t testing.TB) []line {
	t.Helper()
	f, err := os.Open("testdata/validate.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []line
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var l line
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.PreparedSpec == nil {
			l.PreparedSpec = &l.In.DeepCopy().Spec
		}
		out = append(out, l)
	}
	if scan.Err() != nil || len(out) == 0 {
		t.Fatalf("%d lines, %v", len(out), scan.Err())
	}
	return out
}

// Prepared and validated as the real code does it, 600 times.
func TestCorpus(t *testing.T) {
	prepared, same := 0, 0
	lines := corpus(t)
	for _, l := range lines {
		p := l.In.DeepCopy()
		admission.PrepareForCreate(p)
		if equality.Semantic.DeepEqual(p.Spec, *l.PreparedSpec) && sameStatus(p.Status, l.PreparedStatus) {
			prepared++
		} else {
			t.Errorf("%s: prepared otherwise:\n got %s %s\nwant %s %s", l.ID, asJSON(p.Spec), asJSON(p.Status), asJSON(l.PreparedSpec), asJSON(l.PreparedStatus))
		}
		if got, want := errorsOf(p), unique(l.Errors); slices.Equal(got, want) {
			same++
		} else {
			t.Errorf("%s %v:\n got %q\nwant %q", l.ID, l.Mutations, got, want)
		}
	}
	t.Logf("prepared same %d of %d, validated same %d of %d", prepared, len(lines), same, len(lines))
}

func sameStatus(a, b corev1.PodStatus) bool {
	for i := range a.Conditions {
		a.Conditions[i].LastTransitionTime.Reset()
	}
	return equality.Semantic.DeepEqual(a, b)
}

func errorsOf(p *corev1.Pod) []fieldError {
	var out []fieldError
	for _, e := range validation.Pod(p) {
		out = append(out, fieldError{string(e.Type), e.Field, e.Detail})
	}
	return unique(out)
}

// unique sorts, and drops repetitions: upstream says some things twice.
func unique(errs []fieldError) []fieldError {
	slices.SortFunc(errs, func(a, b fieldError) int {
		return slices.Compare([]string{a.Field, a.Type, a.Detail}, []string{b.Field, b.Type, b.Detail})
	})
	return slices.Compact(errs)
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Validation looks and does not touch.
func TestChangesNothing(t *testing.T) {
	for _, l := range corpus(t) {
		before := asJSON(l.In)
		validation.Pod(l.In)
		if asJSON(l.In) != before {
			t.Errorf("%s: validation changed the pod", l.ID)
		}
	}
}

func BenchmarkPod(b *testing.B) {
	var valid []*corev1.Pod
	for _, l := range corpus(b) {
		if len(l.Errors) == 0 {
			admission.PrepareForCreate(l.In)
			valid = append(valid, l.In)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		validation.Pod(valid[i%len(valid)])
	}
}
