package schedule_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/schedule/framework"
)

// cluster is one line of the corpus: what kube-scheduler 1.37 decided.
type cluster struct {
	ID      string
	Cluster struct {
		Nodes []*corev1.Node
		Pods  []*corev1.Pod
	}
	Weights   map[string]int64
	Decisions []decision
}

type decision struct {
	Pod    *corev1.Pod
	Gated  json.RawMessage
	Alone  map[string]alone
	Chosen string
	Scores map[string]struct{ Raw, Scores map[string]int64 }

	Reserve json.RawMessage
}

type alone struct {
	PreFilter      *struct{ Code, Reasons any }
	PreFilterNodes []string
	Rejected       map[string][]string
}

func corpus(t testing.TB) []cluster {
	t.Helper()
	f, err := os.Open("testdata/schedule.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []cluster
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		var c cluster
		if err := json.Unmarshal(scan.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if scan.Err() != nil || len(out) == 0 {
		t.Fatalf("%d lines, %v", len(out), scan.Err())
	}
	return out
}

// world is a cluster's nodes with the pods on them.
type world struct{ nodes []*schedule.Node }

func newWorld(c cluster) *world {
	on := map[string][]*schedule.Pod{}
	for _, p := range c.Cluster.Pods {
		on[p.Spec.NodeName] = append(on[p.Spec.NodeName], framework.NewPod(p))
	}
	w := &world{}
	for _, n := range c.Cluster.Nodes {
		w.nodes = append(w.nodes, framework.NewNode(n, on[n.Name]...))
	}
	return w
}

func (w *world) bind(d decision) {
	for i, n := range w.nodes {
		if n.Name == d.Chosen {
			p := d.Pod.DeepCopy()
			p.Spec.NodeName = n.Name
			w.nodes[i] = n.With(framework.NewPod(p))
		}
	}
}

// Each filter plugin by itself says of every node what the real one says.
func TestCorpusFilters(t *testing.T) {
	same, total := map[string]int{}, 0
	for _, c := range corpus(t) {
		w := newWorld(c)
		for i, d := range c.Decisions {
			if d.Alone != nil {
				total++
				pod := framework.NewPod(d.Pod)
				for _, plugin := range schedule.Default().Filters {
					got, want := aloneOf(plugin.Filter(pod), w.nodes), d.Alone[plugin.Name()]
					if got == canonical(want) {
						same[plugin.Name()]++
					} else {
						t.Errorf("%s decision %d, %s:\n got %s\nwant %s", c.ID, i, plugin.Name(), got, canonical(want))
					}
				}
			}
			if d.Reserve == nil {
				w.bind(d)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(same)) {
		t.Logf("%s: same %d of %d", name, same[name], total)
	}
}

func aloneOf(f framework.Filter, nodes []*schedule.Node) string {
	var a alone
	a.Rejected = map[string][]string{}
	if f.Reject != nil {
		return "rejected " + strings.Join(f.Reject.Reasons, "; ")
	}
	a.PreFilterNodes = slices.Sorted(maps.Keys(f.Only))
	for _, n := range nodes {
		if f.Node == nil {
			break
		}
		if r := f.Node(n); r != nil {
			key := string(r.Code) + ": " + strings.Join(r.Reasons, "; ")
			a.Rejected[key] = append(a.Rejected[key], n.Name)
		}
	}
	return canonical(a)
}

func canonical(a alone) string {
	if a.PreFilter != nil {
		reasons := []string{}
		for _, r := range a.PreFilter.Reasons.([]any) {
			reasons = append(reasons, r.(string))
		}
		return "rejected " + strings.Join(reasons, "; ")
	}
	out := fmt.Sprint("only ", a.PreFilterNodes)
	for _, key := range slices.Sorted(maps.Keys(a.Rejected)) {
		slices.Sort(a.Rejected[key])
		out += fmt.Sprintf("\n%s %v", key, a.Rejected[key])
	}
	return out
}

// The score plugins give the same raw and normalised scores, on the nodes that the
// real scheduler found feasible with all its plugins.
func TestCorpusScores(t *testing.T) {
	same, total := map[string]int{}, map[string]int{}
	for _, c := range corpus(t) {
		w := newWorld(c)
		for i, d := range c.Decisions {
			pod := framework.NewPod(d.Pod)
			var feasible []*schedule.Node
			for _, n := range w.nodes {
				if _, ok := d.Scores[n.Name]; ok {
					feasible = append(feasible, n)
				}
			}
			for _, plugin := range schedule.Default().Scores {
				if len(feasible) == 0 {
					continue
				}
				raw, scores := scoresOf(plugin, pod, feasible)
				wantRaw, want := map[string]int64{}, map[string]int64{}
				for name, s := range d.Scores {
					if r, ok := s.Raw[plugin.Name()]; ok {
						wantRaw[name] = r
						want[name] = s.Scores[plugin.Name()] / plugin.Weight
					}
				}
				total[plugin.Name()]++
				if reflect.DeepEqual(raw, wantRaw) && reflect.DeepEqual(scores, want) {
					same[plugin.Name()]++
				} else {
					t.Errorf("%s decision %d, %s:\n got %v %v\nwant %v %v", c.ID, i, plugin.Name(), raw, scores, wantRaw, want)
				}
			}
			if d.Reserve == nil {
				w.bind(d)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%s: same %d of %d", name, same[name], total[name])
	}
}

func scoresOf(plugin schedule.Weighted, p *schedule.Pod, nodes []*schedule.Node) (raw, scores map[string]int64) {
	raw, scores = map[string]int64{}, map[string]int64{}
	s := plugin.Score(p, nodes)
	if s.Node == nil {
		return raw, scores
	}
	list := make([]int64, len(nodes))
	for i, n := range nodes {
		list[i] = s.Node(n)
		raw[n.Name] = list[i]
	}
	if s.Normalize != nil {
		s.Normalize(list)
	}
	for i, n := range nodes {
		scores[n.Name] = list[i]
	}
	return raw, scores
}

// Decide and Explain agree with each other on everything.
func TestDecideAgreesWithExplain(t *testing.T) {
	profile := schedule.Default()
	for _, c := range corpus(t) {
		w := newWorld(c)
		for i, d := range c.Decisions {
			pod := framework.NewPod(d.Pod)
			snapshot := schedule.Snapshot{Nodes: w.nodes}
			e := profile.Explain(snapshot, pod)
			var got []string
			for tie := range len(e.Best) {
				out, err := profile.Decide(snapshot, pod, func(n int) int { return min(tie, n-1) })
				if err != nil {
					t.Errorf("%s decision %d: %v although %v fit", c.ID, i, err, e.Best)
				}
				got = append(got, out.Node)
			}
			slices.Sort(got)
			if !slices.Equal(got, e.Best) {
				t.Errorf("%s decision %d: chosen over all ties %v, best explained %v", c.ID, i, got, e.Best)
			}
			if _, err := profile.Decide(snapshot, pod, nil); len(e.Best) == 0 && !schedule.IsFitError(err) {
				t.Errorf("%s decision %d: no node fits but error is %v", c.ID, i, err)
			}
			w.bind(d)
		}
	}
}
