package cri

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"
)

func cgroup2() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && int64(st.Type) == unix.CGROUP2_SUPER_MAGIC
}

// held are the capabilities that this process has and may pass on.
func held() ([]string, error) {
	c, err := capability.NewPid2(0)
	if err == nil {
		err = c.Load()
	}
	if err != nil {
		return nil, fmt.Errorf("read this process's capabilities: %w", err)
	}
	var names []string
	for _, k := range capability.ListKnown() {
		if c.Get(capability.EFFECTIVE, k) && c.Get(capability.BOUNDING, k) {
			names = append(names, "CAP_"+strings.ToUpper(k.String()))
		}
	}
	return names, nil
}

// limits are the lowest oom_score_adj and the highest number of open files that
// this process can give.
func limits(caps []string) (oom int, files uint64, err error) {
	if slices.Contains(caps, "CAP_SYS_RESOURCE") {
		return -1000, 524288, nil
	}
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, 0, err
	}
	if oom, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return 0, 0, fmt.Errorf("/proc/self/oom_score_adj: %w", err)
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, 0, err
	}
	return oom, r.Max, nil
}

// controllers says whether swap and huge pages can be limited.
func controllers(v2 bool) (swap, hugetlb bool) {
	if !v2 {
		return exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"), exists("/sys/fs/cgroup/hugetlb/cgroup.procs")
	}
	b, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	files, _ := filepath.Glob("/sys/fs/cgroup/*/memory.swap.max") // the root itself has none
	return len(files) > 0, slices.Contains(strings.Fields(string(b)), "hugetlb")
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// haveMountSetattr asks with an invalid descriptor: only the error differs.
func haveMountSetattr() bool {
	return !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}
