package cgroups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lifepod/lifepod/cgroups/values"
)

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Check returns an error that names the first value that no kernel takes.
// Unified holds only files of controllers, never one that moves or kills
// processes.
func (v Values) Check() error {
	if n := v.CPUShares; n != nil && (*n < values.MinShares || *n > values.MaxShares) {
		return fmt.Errorf("cpu shares %d are not between %d and %d", *n, values.MinShares, values.MaxShares)
	}
	quota, period := deref(v.CPUQuota), deref(v.CPUPeriod)
	switch {
	case quota < -1 || quota > 0 && quota < values.MinQuota:
		return fmt.Errorf("cpu quota %d µs is neither -1 nor at least %d", quota, values.MinQuota)
	case period != 0 && (period < 1000 || period > 1_000_000):
		return fmt.Errorf("cpu period %d µs is not between 1000 and 1000000", period)
	case period != 0 && quota == 0:
		return fmt.Errorf("cpu period %d µs comes without a quota", period)
	case deref(v.Memory) < -1:
		return fmt.Errorf("memory limit %d is neither positive nor -1", *v.Memory)
	case deref(v.PidsMax) < -1:
		return fmt.Errorf("pids limit %d is neither positive nor -1", *v.PidsMax)
	}
	for size, n := range v.HugePages {
		if !isPageSize(size) || n < -1 {
			return fmt.Errorf("huge pages %q of %d bytes: a size looks like 2MB, a limit is positive or -1", size, n)
		}
	}
	for file := range v.Unified {
		if controller, _, ok := strings.Cut(file, "."); !ok || controller == "cgroup" || strings.ContainsAny(file, "/\x00") {
			return fmt.Errorf("%q is not a file of a cgroup v2 controller", file)
		}
	}
	return nil
}

// isPageSize knows names like 2MB.
func isPageSize(s string) bool {
	digits, ok := strings.CutSuffix(s, "B")
	if u := len(digits) - 1; u >= 0 && strings.ContainsRune("KMGTP", rune(digits[u])) {
		digits = digits[:u]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return ok && err == nil && n > 0
}
