package cgroups

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const hybrid = `23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
90 31 0:31 /docker/x /mnt/c\040pu rw - cgroup cgroup rw,cpu,cpuacct
32 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
91 31 0:31 / /x rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
92 31 0:39 /only/this /mnt/with\040space rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
broken line - cgroup
`

func TestParseMounts(t *testing.T) {
	var got []hierarchy
	for _, h := range parseMounts(hybrid) {
		got = append(got, *h)
	}
	want := []hierarchy{ // whole ones first, then by length
		{dir: "/x", controllers: []string{"cpu", "cpuacct"}},
		{dir: "/sys/fs/cgroup/systemd", controllers: []string{"name=systemd"}},
		{dir: "/sys/fs/cgroup/unified", unified: true},
		{dir: "/mnt/with space", controllers: []string{"memory"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(hybrid)
	f.Add(`1 2 0:1 / \ rw - cgroup a b`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, h := range parseMounts(text) {
			if h.has("tmpfs") || len(h.controllers) > 0 && h.unified {
				t.Fatalf("%+v", h)
			}
		}
	})
}

func TestParseFiles(t *testing.T) {
	if n := limit("9223372036854771712\n"); n != 0 {
		t.Error("v1's largest limit is none, got", n)
	}
	if limit("max\n") != 0 || limit("4096\n") != 4096 || number(" 7\n") != 7 || number("-1") != 0 {
		t.Error("numbers")
	}
	if n := keyed("oom 1\noom_kill 3\noom_group_kill 4\n", "oom_kill"); n != 3 {
		t.Error(n)
	}
	if n := keyed("", "x"); n != 0 {
		t.Error(n)
	}
	list, hidden := pids("12\n0\n7\n12\nx\n0\n")
	if !slices.Equal(list, []int{7, 12}) || hidden != 2 {
		t.Error(list, hidden)
	}
	p := parsePressure("some avg10=1.50 avg60=0.00 avg300=0.00 total=42\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=7\n")
	if p == nil || *p != (Pressure{1.5, 0.25, 42, 7}) {
		t.Error(p)
	}
	if parsePressure("") != nil {
		t.Error("no pressure file is no pressure")
	}
}

func FuzzParsePressure(f *testing.F) {
	f.Add("some avg10=1.50 total=42\nfull")
	f.Fuzz(func(t *testing.T, text string) {
		if p := parsePressure(text); p != nil && !strings.Contains(text, "some") && !strings.Contains(text, "full") {
			t.Fatalf("%q gave %+v", text, p)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestSettings(t *testing.T) {
	full := Values{
		CPUShares: ptr[uint64](1024), CPUQuota: ptr[int64](50_000), CPUPeriod: ptr[uint64](100_000),
		Memory: ptr[int64](1 << 20), PidsMax: ptr[int64](-1), HugePages: map[string]int64{"2MB": 2 << 20, "1GB": 0},
	}
	none := Values{CPUQuota: ptr[int64](-1), Memory: ptr[int64](-1), PidsMax: ptr[int64](9)}
	for name, c := range map[string]struct {
		v       Values
		unified bool
		want    []setting
	}{
		"v1": {full, false, []setting{
			{"cpu", "cpu.shares", "1024"}, {"cpu", "cpu.cfs_period_us", "100000"}, {"cpu", "cpu.cfs_quota_us", "50000"},
			{"memory", "memory.limit_in_bytes", "1048576"}, {"pids", "pids.max", "max"}, {"hugetlb", "hugetlb.2MB.limit_in_bytes", "2097152"},
		}},
		"v2": {full, true, []setting{
			{"cpu", "cpu.weight", "39"}, {"cpu", "cpu.max", "50000 100000"},
			{"memory", "memory.max", "1048576"}, {"pids", "pids.max", "max"}, {"hugetlb", "hugetlb.2MB.max", "2097152"},
		}},
		"v1 none": {none, false, []setting{
			{"cpu", "cpu.cfs_quota_us", "-1"}, {"memory", "memory.limit_in_bytes", "-1"}, {"pids", "pids.max", "9"},
		}},
		"v2 none": {none, true, []setting{{"cpu", "cpu.max", "max"}, {"memory", "memory.max", "max"}, {"pids", "pids.max", "9"}}},
		"files": {Values{Unified: map[string]string{"memory.low": "1", "memory.high": "2"}}, true, []setting{
			{"memory", "memory.high", "2"}, {"memory", "memory.low", "1"},
		}},
		"nothing": {Values{CPUQuota: ptr[int64](0), Memory: ptr[int64](0)}, true, nil},
	} {
		got, err := settings(c.v, func(string) bool { return c.unified }, []string{"2MB"})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v (%v)\nwant %v", name, got, err, c.want)
		}
	}
	if _, err := settings(Values{Unified: map[string]string{"memory.low": "1"}}, func(string) bool { return false }, nil); err == nil {
		t.Error("v1 took a v2 file")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		`cgroup controller "pids" is missing: do this`:                                                              &MissingControllerError{"pids", "do this"},
		"cgroups in /c cannot be made: it is mounted read-only; remount it with mount -o remount,rw":                &AccessError{Dir: "/c", Read: true},
		"cgroups in /c cannot be made by uid 7: run as root, or name a cgroup that is delegated to this user (syst": &AccessError{Dir: "/c", UID: 7},
	} {
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s, want %s", err, want)
		}
	}
}
