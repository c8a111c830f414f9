package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/lifepod/lifepod"

// pkg is what the tests need of `go list -json`.
type pkg struct {
	ImportPath, Name, Dir, Doc string
	GoFiles, TestGoFiles       []string
	XTestGoFiles               []string
	Imports                    []string
	Deps                       []string
}

// rel is the package's path inside the module, "." for its root.
func (p pkg) rel() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// allowed says which packages of the module a block may import, one edge a
// line with its reason. A block is its top folder; its own sub-packages and
// internal/sys are always allowed. "a/b" allows that package alone.
var allowed = map[string]map[string]string{
	"admission": {"pod": "defaults and QoS class are what a Pod means"},
	"schedule":  {"pod": "effective requests"},
	"volume":    {"pod": "field and resource values of the downward API"},
	"cri": {
		"image":     "root filesystems",
		"netns":     "the sandbox's namespaces and network",
		"cgroups":   "the parent of a sandbox that names none",
		"container": "processes",
	},
	"lifecycle": {
		"pod":               "what a Pod means",
		"probe":             "runs the probes that the plan asks for",
		"volume":            "sets up the volumes that the plan asks for",
		"cgroups":           "values and the PodCgroups interface",
		"image/policy":      "pull policy and its messages, pure",
		"image/credentials": "keyrings, pure",
		"image/pacing":      "how many pulls at once and per second, in memory",
		"image/pullrecord":  "who may use an image that is there, pure, and the interface of the records",
		"netns/dns":         "resolver configuration, pure",
	},
}

// freely lists what chooses implementations and may import everything.
var freely = []string{"lifecycle/local", "examples", "cmd", "internal", "bench", "hack", "."}

// exempt are single edges outside the blocks' table.
var exempt = map[string]map[string]string{
	"lifecycle/lifecycletest": {"store": "a whole runner on fakes", "store/typed": "a whole runner on fakes"},
}

func top(rel string) string { first, _, _ := strings.Cut(rel, "/"); return first }

func chooses(rel string) bool {
	for _, f := range freely {
		if rel == f || strings.HasPrefix(rel, f+"/") {
			return true
		}
	}
	return false
}

// mayImport says whether the package from may import the package to, both as
// paths inside the module.
func mayImport(from, to string) bool {
	if chooses(from) || top(from) == top(to) && !chooses(to) || top(to) == "internal" && to != "internal/arch" {
		return true
	}
	if _, ok := exempt[from][to]; ok {
		return true
	}
	for edge := range allowed[top(from)] {
		if to == edge || !strings.Contains(edge, "/") && strings.HasPrefix(to, edge+"/") {
			return true
		}
	}
	return false
}

func TestImportGraph(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module+"/")
			if ours && !mayImport(p.rel(), to) {
				t.Errorf("%s imports %s: no edge of the graph allows it (see allowed in graph_test.go)", p.rel(), to)
			}
		}
	}
}

// forbidden dependencies: the package (or any below it) must not reach them.
var forbidden = []struct{ block, dep, why string }{
	{"image", "k8s.io/", "images know no Kubernetes"},
	{"cgroups", "k8s.io/", "numbers in, numbers out"},
	{"netns", "k8s.io/", "plain values"},
	{"probe", "k8s.io/", "plain values"},
	{"container", "k8s.io/", "OCI is its interface"},
	{"cmd/lifepod-supervisor", "k8s.io/", "it runs for every user and must stay small"},
	{".", "k8s.io/kubernetes", "Kubernetes' own tree is no library"},
}

func TestForbiddenDependencies(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, f := range forbidden {
			if f.block != "." && p.rel() != f.block && !strings.HasPrefix(p.rel(), f.block+"/") {
				continue
			}
			for _, d := range p.Deps {
				if strings.HasPrefix(d, f.dep) {
					t.Errorf("%s reaches %s: %s", p.rel(), d, f.why)
					break
				}
			}
		}
	}
}

// only libcontainer's own package may bring it, and so on: heavy things are
// paid for by who imports them.
var confined = map[string][]string{
	"github.com/containerd/cgroups":          {"cgroups/containerd"},
	module + "/cgroups/containerd":           {"cgroups/containerd"}, // it is the user who chooses it: no package of ours brings it
	"github.com/opencontainers/runc":         {"container/runc", "cmd", "examples", "lifecycle/local", "internal", "bench"},
	"github.com/containernetworking/cni":     {"netns/cni", "examples", "lifecycle/local", "bench"},
	"github.com/vishvananda/netlink":         {"netns/bridge", "netns/cni", "netns/netnstest", "internal", "examples", "lifecycle/local", "bench", "container/runc", "cmd"},
	"google.golang.org/grpc/health":          {"probe/grpcprobe", "examples", "lifecycle", "bench", "internal"},
	"github.com/google/go-containerregistry": {"image", "examples", "lifecycle/local", "cri", "bench", "internal"},
}

func TestHeavyDependenciesAreConfined(t *testing.T) {
	for _, p := range list(t, "./...") {
		for dep, homes := range confined {
			ok := false
			for _, h := range homes {
				ok = ok || p.rel() == h || strings.HasPrefix(p.rel(), h+"/")
			}
			if ok {
				continue
			}
			for _, d := range p.Deps {
				if d == dep || strings.HasPrefix(d, dep+"/") {
					t.Errorf("%s reaches %s, which belongs to %v", p.rel(), d, homes)
					break
				}
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"image", "netns", false},
		{"image", "image/policy", true},
		{"lifecycle", "image/policy", true},
		{"lifecycle", "image", false},
		{"lifecycle", "cri", false},
		{"lifecycle/local", "cri", true},
		{"lifecycle", "lifecycle/local", false},
		{"cri", "netns/dns", true},
		{"volume", "pod", true},
		{"volume", "store", false},
		{"container/runc", "internal/sys", true},
		{"examples/podrun", "lifecycle/local", true},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("mayImport(%s, %s) = %v", c.from, c.to, got)
		}
	}
}
