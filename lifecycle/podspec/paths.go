package podspec

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maskedPaths are hidden from every container whose procMount is not Unmasked.
func maskedPaths() []string {
	return []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
}

func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// ThermalPaths are the per-CPU thermal_throttle directories of a node, which
// are masked too. root is the node's file system: os.DirFS("/").
func ThermalPaths(root fs.FS) []string {
	found, _ := fs.Glob(root, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	slices.SortFunc(found, func(a, b string) int { return cpuNumber(a) - cpuNumber(b) })
	for i := range found {
		found[i] = "/" + found[i]
	}
	return found
}

func cpuNumber(p string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(path.Base(path.Dir(p)), "cpu"))
	return n
}
