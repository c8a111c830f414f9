package cgroups

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lifepod/lifepod/cgroups/values"
)

// setting is one file of a controller to write.
type setting struct {
	controller, file, content string
}

// settings says which files to write for v, in order. unified tells a
// controller's version, and sizes are the machine's huge page sizes.
func settings(v Values, unified func(controller string) bool, sizes []string) ([]setting, error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	s := cpuSettings(v, unified("cpu"))
	if m := v.Memory; m != nil && *m != 0 {
		if unified("memory") {
			s = append(s, setting{"memory", "memory.max", maxOr(*m)})
		} else {
			s = append(s, setting{"memory", "memory.limit_in_bytes", strconv.FormatInt(*m, 10)})
		}
	}
	if n := v.PidsMax; n != nil {
		s = append(s, setting{"pids", "pids.max", maxOr(*n)})
	}
	pages, err := hugePageSettings(v.HugePages, unified("hugetlb"), sizes)
	if err != nil {
		return nil, err
	}
	s = append(s, pages...)
	for _, file := range slices.Sorted(maps.Keys(v.Unified)) {
		controller, _, _ := strings.Cut(file, ".")
		if !unified(controller) {
			return nil, fmt.Errorf("%s needs the controller %q on cgroup v2", file, controller)
		}
		s = append(s, setting{controller, file, v.Unified[file]})
	}
	return s, nil
}

func maxOr(n int64) string {
	if n == -1 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func cpuSettings(v Values, unified bool) []setting {
	var s []setting
	add := func(file, content string) { s = append(s, setting{"cpu", file, content}) }
	if n := v.CPUShares; n != nil && unified {
		add("cpu.weight", strconv.FormatUint(values.SharesToWeight(*n), 10))
	} else if n != nil {
		add("cpu.shares", strconv.FormatUint(*n, 10))
	}
	quota, period := deref(v.CPUQuota), ""
	if n := deref(v.CPUPeriod); n != 0 {
		period = strconv.FormatUint(n, 10)
	}
	switch {
	case quota == 0:
	case unified:
		add("cpu.max", strings.TrimSpace(maxOr(quota)+" "+period)) // without it the period stays
	default:
		if period != "" {
			add("cpu.cfs_period_us", period)
		}
		add("cpu.cfs_quota_us", strconv.FormatInt(quota, 10))
	}
	return s
}

func hugePageSettings(pages map[string]int64, unified bool, sizes []string) ([]setting, error) {
	var s []setting
	for _, size := range slices.Sorted(maps.Keys(pages)) {
		n := pages[size]
		if !slices.Contains(sizes, size) {
			if n == 0 {
				continue
			}
			return nil, fmt.Errorf("huge pages of %s cannot be limited to %d bytes: this machine limits the sizes %v", size, n, sizes)
		}
		file, content := "hugetlb."+size+".limit_in_bytes", strconv.FormatInt(n, 10)
		if unified {
			file, content = "hugetlb."+size+".max", maxOr(n)
		}
		s = append(s, setting{"hugetlb", file, content})
	}
	return s, nil
}
