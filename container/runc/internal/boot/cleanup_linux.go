package boot

import (
	"os"
	"path"
	"path/filepath"
)

// Crash has what the supervisor said when it panicked.
func (c Config) Crash() string { return filepath.Join(c.Run, "supervisor.crash") }

// State is where libcontainer keeps its own records.
func (c Config) State() string { return filepath.Join(c.Run, "libcontainer") }

// CleanUp removes what supervisors leave behind, unless there are containers
// still. Only who has the run directory alone may call it.
func (c Config) CleanUp() {
	_ = os.Remove(c.State()) // an empty directory, as the next
	if err := os.Remove(c.Containers()); err != nil && !os.IsNotExist(err) {
		return
	}
	if fi, err := os.Stat(c.Crash()); err == nil && fi.Size() == 0 {
		_ = os.Remove(c.Crash())
	}
	for _, f := range []string{c.Socket(), c.Alive(), c.Lock()} {
		_ = os.Remove(f)
	}
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		dirs, _ := filepath.Glob(filepath.Join(mount, c.CgroupRoot, "supervisor"))
		for _, dir := range dirs { // of one that was killed
			base := dir[:len(dir)-len(path.Join(c.CgroupRoot, "supervisor"))]
			for up := path.Join(c.CgroupRoot, "supervisor"); up != "/" && os.Remove(base+up) == nil; {
				up = path.Dir(up)
			}
		}
	}
}
