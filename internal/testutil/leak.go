package testutil

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Scope says what belongs to a test, so that tests of several packages can run
// beside each other on one machine.
type Scope struct {
	// Dirs are directories of the test. A mount below one of them, and a
	// process whose command line or working directory names one, is its own.
	Dirs []string
	// Names are parts of names that only the test uses (a root's id): cgroups,
	// network links and nftables tables that contain one are its own.
	Names []string
}

// CheckLeaks fails t if, at its end, something in scope is left on the machine
// or this process has more file descriptors than now. Call it first, so that it
// is checked last.
func CheckLeaks(t testing.TB, s Scope) {
	t.Helper()
	fds := openFiles()
	t.Cleanup(func() {
		left := settle(func() []string { return append(Leaks(s), moreFiles(fds, openFiles())...) })
		if len(left) > 0 {
			t.Errorf("the test left behind:\n  %s", strings.Join(left, "\n  "))
		}
	})
}

// settle asks until nothing is left or twenty seconds have passed: processes and
// namespaces end a moment after it was said so, on a busy machine a long one.
func settle(ask func() []string) []string {
	left := ask()
	for end := time.Now().Add(20 * time.Second); len(left) > 0 && time.Now().Before(end); left = ask() {
		time.Sleep(20 * time.Millisecond)
	}
	return left
}

// Leaks lists what exists in scope, one line each: mounts, processes, cgroups,
// links, nftables tables.
func Leaks(s Scope) []string {
	var left []string
	left = append(left, mounts(s)...)
	left = append(left, processes(s)...)
	left = append(left, cgroupDirs(s)...)
	left = append(left, links(s)...)
	return append(left, tables(s)...)
}

func moreFiles(before, after map[string]string) []string {
	var left []string
	for fd, target := range after {
		if _, had := before[fd]; !had && !runtimeFile(target) {
			left = append(left, fmt.Sprintf("descriptor %s: %s", fd, target))
		}
	}
	return left
}

// runtimeFile tells descriptors that the Go runtime opens once and keeps.
func runtimeFile(target string) bool {
	return strings.Contains(target, "[eventpoll]") || strings.Contains(target, "[eventfd]") ||
		strings.HasPrefix(target, "/proc/") && strings.HasSuffix(target, "/fd")
}

func (s Scope) names(text string) bool {
	for _, n := range s.Names {
		if n != "" && strings.Contains(text, n) {
			return true
		}
	}
	return false
}

func (s Scope) dirs(path string) bool {
	for _, d := range s.Dirs {
		if path == d || strings.HasPrefix(path, d+"/") {
			return true
		}
	}
	return false
}
