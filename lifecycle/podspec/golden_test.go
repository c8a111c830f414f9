package podspec

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/pod"
)

// lines reads a compressed file of JSON lines.
func lines[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	s := bufio.NewScanner(gz)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

type trace struct {
	Name  string
	Pod   *corev1.Pod
	Calls []struct {
		RPC, Container string
		Attempt        uint32
		Fields         struct {
			Hostname, Namespaces, Image, Log string
			OOMScoreAdj                      int64
		}
	}
}

func namespaces(o *runtimeapi.NamespaceOption) string {
	return fmt.Sprintf("net=%s pid=%s ipc=%s", o.Network, o.Pid, o.Ipc)
}

// What the real kubelet asked of its runtime, in every recorded scenario.
func TestKubeletTraces(t *testing.T) {
	calls := 0
	for _, tr := range lines[trace](t, "testdata/kubelet.jsonl.gz") {
		tr.Pod.UID = "u"
		for _, call := range tr.Calls {
			calls++
			at := fmt.Sprintf("%s: %s %s %d", tr.Name, call.RPC, call.Container, call.Attempt)
			if call.RPC == "RunPodSandbox" {
				cfg, err := Sandbox(SandboxInput{Pod: tr.Pod, Attempt: call.Attempt})
				if err != nil {
					t.Fatal(err)
				}
				if got := namespaces(cfg.Linux.SecurityContext.NamespaceOptions); cfg.Hostname != call.Fields.Hostname || got != call.Fields.Namespaces {
					t.Errorf("%s: %s %s, want %+v", at, cfg.Hostname, got, call.Fields)
				}
				continue
			}
			c, _ := pod.Find(&tr.Pod.Spec, call.Container)
			c.Image = call.Fields.Image // one scenario updates it
			if c.Resources.Requests == nil {
				c.Resources.Requests = c.Resources.Limits // as defaulting does
			}
			score := podcgroup.Container(tr.Pod, c, podcgroup.Options{}).OOMScoreAdj
			volumes := map[string]Source{}
			for _, v := range tr.Pod.Spec.Volumes {
				volumes[v.Name] = Source{HostPath: "/" + v.Name}
			}
			cfg, err := Container(ContainerInput{
				Volumes: volumes, Pod: tr.Pod, Container: c, Attempt: call.Attempt, ImageRef: c.Image, Resources: &runtimeapi.LinuxContainerResources{OomScoreAdj: score},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := namespaces(cfg.Linux.SecurityContext.NamespaceOptions)
			if w := call.Fields; cfg.Image.Image != w.Image || cfg.LogPath != w.Log || got != w.Namespaces || cfg.Linux.Resources.OomScoreAdj != w.OOMScoreAdj {
				t.Errorf("%s: %s %s %s %d, want %+v", at, cfg.Image.Image, cfg.LogPath, got, score, w)
			}
		}
	}
	if calls < 150 {
		t.Errorf("only %d calls were compared", calls)
	}
}
