package cgroups

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// The kernel's files are trusted to hold numbers; what is not one reads as 0.

func number(s string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	return n
}

// limit reads "max" and v1's "as large as a page counter goes" as 0.
func limit(s string) uint64 {
	n := number(s)
	if n >= math.MaxInt64/4096*4096 {
		return 0
	}
	return n
}

// keyed finds the number after key in lines of "key number".
func keyed(text, key string) uint64 {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, " "); ok && k == key {
			return number(v)
		}
	}
	return 0
}

// parsePressure reads a PSI file; nil when it has none of its lines.
func parsePressure(text string) *Pressure {
	var p *Pressure
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "some" && f[0] != "full" {
			continue
		}
		if p == nil {
			p = &Pressure{}
		}
		avg, total := &p.SomeAvg10, &p.SomeTotal
		if f[0] == "full" {
			avg, total = &p.FullAvg10, &p.FullTotal
		}
		for _, kv := range f[1:] {
			switch k, v, _ := strings.Cut(kv, "="); k {
			case "avg10":
				*avg, _ = strconv.ParseFloat(v, 64)
			case "total":
				*total = number(v)
			}
		}
	}
	return p
}

// pids reads a cgroup.procs file. Processes of other PID namespaces, which read
// as 0, are counted apart.
func pids(text string) (list []int, hidden int) {
	for f := range strings.FieldsSeq(text) {
		switch n, err := strconv.Atoi(f); {
		case err != nil:
		case n == 0:
			hidden++
		default:
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), hidden
}
