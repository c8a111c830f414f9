package testutil

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
)

func openFiles() map[string]string {
	files := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			files[e.Name()] = target
		}
	}
	return files
}

func mounts(s Scope) []string {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var left []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && s.dirs(f[4]) {
			left = append(left, "mount "+f[4])
		}
	}
	return left
}

// processes finds processes other than this one and its ancestors that belong
// to the scope by argument, working directory, root or cgroup.
func processes(s Scope) []string {
	skip := ancestors()
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var left []string
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if slices.Contains(skip, pid) {
			continue
		}
		cmd, _ := os.ReadFile(d + "/cmdline")
		args := strings.Split(strings.TrimRight(string(cmd), "\x00"), "\x00")
		cwd, _ := os.Readlink(d + "/cwd")
		cg, _ := os.ReadFile(d + "/cgroup")
		if slices.ContainsFunc(args, s.dirs) || s.dirs(cwd) || s.names(string(cg)) {
			stat, _ := os.ReadFile(d + "/stat") // begins with the name and the state
			left = append(left, fmt.Sprintf("process %.40s: %s", stat, strings.Join(args, " ")))
		}
	}
	return left
}

func ancestors() []int {
	var pids []int
	for pid := os.Getpid(); pid > 0; {
		pids = append(pids, pid)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		text := string(b)
		f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		pid, _ = strconv.Atoi(f[1])
	}
	return pids
}

func cgroupDirs(s Scope) []string {
	if len(s.Names) == 0 {
		return nil
	}
	var left []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && s.names(d.Name()) {
			left = append(left, "cgroup "+p)
			return fs.SkipDir
		}
		return nil
	})
	return left
}

func links(s Scope) []string {
	ifs, _ := net.Interfaces()
	var left []string
	for _, i := range ifs {
		if s.names(i.Name) {
			left = append(left, "link "+i.Name)
		}
	}
	return left
}

func tables(s Scope) []string {
	if len(s.Names) == 0 || os.Getuid() != 0 {
		return nil
	}
	c, err := nftables.New()
	if err != nil {
		return nil
	}
	ts, err := c.ListTables()
	if err != nil {
		return nil
	}
	var left []string
	for _, tab := range ts {
		if s.names(tab.Name) {
			left = append(left, "nftables table "+tab.Name)
		}
	}
	return left
}
