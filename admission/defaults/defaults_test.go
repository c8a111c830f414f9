package defaults_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/lifepod/lifepod/admission/defaults"
)

type line struct {
	ID      string
	In, Out *corev1.Pod
}

func corpus(t testing.TB) []line {
	t.Helper()
	f, err := os.Open("testdata/default.jsonl.gz")
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
		out = append(out, l)
	}
	if scan.Err() != nil || len(out) == 0 {
		t.Fatalf("%d lines, %v", len(out), scan.Err())
	}
	return out
}

// What the real code made of 600 pods, and nothing more on a second run.
func TestCorpus(t *testing.T) {
	same := 0
	lines := corpus(t)
	for _, l := range lines {
		got := l.In.DeepCopy()
		defaults.Pod(got)
		once := got.DeepCopy()
		defaults.Pod(got)
		if !reflect.DeepEqual(once, got) {
			t.Errorf("%s: a second run changes it", l.ID)
		}
		if equality.Semantic.DeepEqual(roundtrip(t, got), l.Out) {
			same++
			continue
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(l.Out)
		t.Errorf("%s:\n got %s\nwant %s", l.ID, a, b)
	}
	t.Logf("same %d of %d", same, len(lines))
}

func roundtrip(t *testing.T, p *corev1.Pod) *corev1.Pod {
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	out := new(corev1.Pod)
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOtherKinds(t *testing.T) {
	s := &corev1.Secret{StringData: map[string]string{"a": "b"}}
	defaults.Object(s)
	if s.Type != corev1.SecretTypeOpaque || string(s.Data["a"]) != "b" || s.StringData != nil {
		t.Errorf("secret %+v", s)
	}
	svc := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	defaults.Object(svc)
	if p := svc.Spec.Ports[0]; p.Protocol != corev1.ProtocolTCP || p.TargetPort.IntVal != 80 || svc.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("service %+v", svc.Spec)
	}
}

func BenchmarkPod(b *testing.B) {
	lines := corpus(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		p := lines[i%len(lines)].In.DeepCopy()
		b.StartTimer()
		defaults.Pod(p)
	}
}
