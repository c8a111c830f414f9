package main

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/pod"
)

// The node of the data: 32 GiB, of which pods may use 30.
const (
	nodeMemory      = 32 << 30
	nodeAllocatable = 30 << 30
	throttling      = 0.9
)

func checkQOS(line []byte) (map[string]any, error) {
	var in struct {
		Pod corev1.Pod `json:"in"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, err
	}
	p := &in.Pod
	memoryQoS := podcgroup.Options{
		Cgroup2: true, TieredReservation: true, ThrottlingFactor: throttling,
		MemoryCapacity: nodeMemory, MemoryAllocatable: nodeAllocatable,
	}
	containers := []any{}
	for c := range pod.Containers(&p.Spec, pod.Main) {
		containers = append(containers, containerAnswer(c.Name, podcgroup.Container(p, c, memoryQoS)))
	}
	return map[string]any{
		"qosClass":               pod.ComputeQOS(p),
		"requests":               pod.Requests(p),
		"limits":                 pod.Limits(p),
		"requestsContainersOnly": pod.ContainersRequests(p),
		"limitsContainersOnly":   pod.ContainersLimits(p),
		"cgroup":                 podAnswer(podcgroup.Values(p, podcgroup.Options{})),
		"cgroupNoCFSQuota":       podAnswer(podcgroup.Values(p, podcgroup.Options{NoCPUQuota: true})),
		"cgroupMemoryQoS":        podAnswer(podcgroup.Values(p, memoryQoS)),
		"containers":             containers,
	}, nil
}

func podAnswer(v cgroups.Values) map[string]any {
	a := map[string]any{"cpuShares": v.CPUShares, "cpuQuota": v.CPUQuota, "cpuPeriod": v.CPUPeriod, "memory": v.Memory}
	if len(v.HugePages) > 0 {
		pages := map[string]int64{}
		for size, n := range v.HugePages {
			pages[pageBytes(size)] = n
		}
		a["hugePages"] = pages
	}
	if len(v.Unified) > 0 {
		a["memoryQoS"] = v.Unified
	}
	return a
}

// pageBytes turns the kernel's name of a size into bytes.
func pageBytes(name string) string {
	shift := map[string]int{"KB": 10, "MB": 20, "GB": 30, "TB": 40, "PB": 50}
	n, _ := strconv.ParseInt(strings.TrimRight(name, "KMGTPB"), 10, 64)
	return strconv.FormatInt(n<<shift[strings.TrimLeft(name, "0123456789")], 10)
}

func containerAnswer(name string, r podcgroup.Resources) map[string]any {
	a := map[string]any{
		"name": name, "cpuShares": r.CPUShares, "cpuQuota": r.CPUQuota, "cpuPeriod": r.CPUPeriod,
		"memoryLimit": r.MemoryLimit, "oomScoreAdj": r.OOMScoreAdj,
	}
	u := maps.Clone(r.Unified)
	delete(u, "memory.oom.group") // not part of memory QoS
	if len(u) > 0 {
		a["memoryQoS"] = u
	}
	return a
}
