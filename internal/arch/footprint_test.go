package arch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// budget is what importing a package may cost: an empty main that imports it,
// stripped, without cgo, in MB of 10^6 bytes; the packages that are neither ours
// nor the standard library's; and the longest single init of ours or its
// dependencies, in milliseconds.
type budget struct {
	megabytes float64
	packages  int
	init      float64
}

// budgets fail on growth. Raise one only with the reason in the commit.
var budgets = map[string]budget{
	"container": {3, 2, 0.3},
	"store":     {3, 0, 0.3},
	"cgroups":   {4, 2, 1},
	// containerd's library brings D-Bus, eBPF and protobuf: why it is not in cgroups.
	"cgroups/containerd": {6.5, 55, 1},
	"netns":              {4, 4, 1},
	"probe":              {7, 2, 1},
	"image":              {7, 60, 2},
	"volume":             {14, 130, 3},
	"schedule":           {14, 130, 3},
	"cri":                {20, 230, 3},
	"lifecycle":          {20, 260, 3},
}

func TestFootprint(t *testing.T) {
	if testing.Short() {
		t.Skip("it links a dozen programs")
	}
	dir, err := os.MkdirTemp("../..", ".footprint-") // inside the module, or it could not import it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for block, max := range budgets {
		t.Run(block, func(t *testing.T) {
			bin, size := link(t, dir, block)
			foreign := foreignDeps(t, block)
			slowest, took := slowestInit(t, bin)
			t.Logf("%.1f MB, %d foreign packages, longest init %s %.2f ms", size, foreign, slowest, took)
			if size > max.megabytes {
				t.Errorf("an empty main that imports it has %.1f MB, more than %.1f", size, max.megabytes)
			}
			if foreign > max.packages {
				t.Errorf("it brings %d packages from outside, more than %d", foreign, max.packages)
			}
			if took > max.init {
				t.Errorf("init of %s takes %.2f ms, more than %.2f", slowest, took, max.init)
			}
		})
	}
	_, size := link(t, dir, "lifecycle/local")
	t.Logf("lifecycle/local: %.1f MB", size)
}

func link(t *testing.T, dir, block string) (bin string, megabytes float64) {
	t.Helper()
	sub := filepath.Join(dir, strings.ReplaceAll(block, "/", "-"))
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	src := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", module+"/"+block)
	if err := os.WriteFile(filepath.Join(sub, "main.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	bin = filepath.Join(sub, "main")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "main", "main.go")
	cmd.Dir = sub
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fi, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	return bin, float64(fi.Size()) / 1e6
}

func foreignDeps(t *testing.T, block string) int {
	t.Helper()
	n := 0
	for _, p := range list(t, "./"+block) {
		for _, d := range p.Deps {
			first, _, _ := strings.Cut(d, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(d, module) {
				n++
			}
		}
	}
	return n
}

// slowestInit runs the program a few times and returns the init that took
// longest in the best run: what other processes cost is no property of ours.
func slowestInit(t *testing.T, bin string) (name string, ms float64) {
	t.Helper()
	best := -1.0
	for range 5 {
		cmd := exec.Command(bin)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		slow, who := 0.0, ""
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line) // init PKG @X ms, Y ms clock, …
			if len(f) < 5 || f[0] != "init" || f[1] == "runtime" {
				continue
			}
			if v, err := strconv.ParseFloat(f[4], 64); err == nil && v > slow {
				slow, who = v, f[1]
			}
		}
		if best < 0 || slow < best {
			best, name = slow, who
		}
	}
	return name, best
}
