package boot

import (
	"os"
	"strings"
	"testing"
)

// Only the first thread, which is the one that becomes the program, stays exact.
func TestQuiet(t *testing.T) {
	first, err := os.Readlink("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	Quiet()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	calm := 0
	for _, th := range threads {
		b, err := os.ReadFile("/proc/" + th.Name() + "/timerslack_ns")
		slack := strings.TrimSpace(string(b))
		switch {
		case err != nil: // it has ended, or we may not look
		case th.Name() == first && slack == monitorSlack:
			t.Error("the first thread's sleeps may be late, too")
		case th.Name() != first && slack == monitorSlack:
			calm++
		}
	}
	if calm == 0 && os.Getuid() == 0 {
		t.Error("no thread was changed")
	}
}
