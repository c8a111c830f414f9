package volume

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifepod/lifepod/pod"
)

// makeNested makes the directories in a volume at which containers mount other
// volumes: the volume is read-only to whoever would make them otherwise.
func makeNested(m Mount) error {
	for c := range pod.Containers(&m.Pod.Spec, pod.All) {
		var all, own []string
		for _, vm := range c.VolumeMounts {
			p := path.Clean(vm.MountPath)
			all = append(all, p)
			if vm.Name == m.Volume.Name {
				own = append(own, p)
			}
		}
		slices.Sort(all)
		for _, at := range own {
			if strings.HasPrefix(at, "../") {
				return fmt.Errorf("invalid container mount point %v", at)
			}
			for _, rel := range nestedIn(at, all) {
				if err := os.MkdirAll(filepath.Join(m.Path, rel), 0o755); err != nil {
					return fmt.Errorf("unable to create nested volume mountpoints: %w", err)
				}
			}
		}
	}
	return nil
}

// nestedIn are the paths of sorted below dir, relative to it, without those
// that lie below another of them.
func nestedIn(dir string, sorted []string) []string {
	var out []string
next:
	for _, p := range sorted {
		rel, ok := strings.CutPrefix(p, dir+"/")
		if !ok {
			continue
		}
		for _, outer := range out {
			if strings.HasPrefix(rel, outer+"/") {
				continue next
			}
		}
		out = append(out, rel)
	}
	return out
}
