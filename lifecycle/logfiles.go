package lifecycle

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/pod"
)

// attemptsByLog says, by container, the first attempt that has no log file yet:
// after a reboot the runtime has forgotten its containers, and restart counts
// must not fall. It looks once: later attempts are remembered.
func (w *worker) attemptsByLog() map[string]uint32 {
	if w.looked {
		return w.byLog
	}
	w.looked, w.byLog = true, map[string]uint32{}
	dir := podspec.LogDirectory(w.r.LogDir, w.pod())
	for c := range pod.Containers(&w.pod().Spec, pod.All) {
		entries, err := os.ReadDir(filepath.Join(dir, c.Name))
		if err != nil {
			continue // it never ran
		}
		for _, e := range entries {
			stem, _, _ := strings.Cut(e.Name(), ".")
			if n, err := strconv.ParseUint(stem, 10, 31); err == nil {
				w.byLog[c.Name] = max(w.byLog[c.Name], uint32(n)+1)
			}
		}
	}
	return w.byLog
}
