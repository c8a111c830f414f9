package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAttemptsByLog(t *testing.T) {
	p := &corev1.Pod{}
	p.Name, p.Namespace, p.UID = "web", "default", "u"
	p.Spec.Containers = []corev1.Container{{Name: "app"}, {Name: "new"}}
	logs := t.TempDir()
	dir := filepath.Join(logs, "default_web_u", "app")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0.log", "2.log", "1.log.20260102-030405.gz", "x.log"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &worker{r: &Runner{Options: Options{LogDir: logs}}}
	w.current.Store(p)
	got := w.attemptsByLog()
	if _, known := got["new"]; got["app"] != 3 || known {
		t.Errorf("attempts %v, want app=3 alone", got)
	}
}
