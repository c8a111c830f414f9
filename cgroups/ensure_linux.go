package cgroups

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectMkdir    = sys.NewEffect("cgroups/mkdir")
	effectDelegate = sys.NewEffect("cgroups/delegate")
	effectLimit    = sys.NewEffect("cgroups/limit")
)

// Ensure makes the cgroup at p with all its ancestors, where they are not there,
// and sets its limits. When it fails, a cgroup that it made is gone again;
// ancestors stay. It may be called again at any time, also to change limits. A
// memory limit below what is in use is refused.
func (m *Manager) Ensure(ctx context.Context, p string, v Values) error {
	if err := CheckPath(m.root, p); err != nil {
		return err
	}
	files, err := settings(v, m.unified, m.sizes)
	if err != nil {
		return fmt.Errorf("limit cgroup %s: %w", p, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var made []string
	for _, h := range m.made {
		dir, isNew, err := m.makeIn(h, p)
		if isNew {
			made = append(made, dir)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("make cgroup %s: %w", p, err), undo(made))
		}
	}
	if len(made) == 0 {
		if err := m.checkMemory(p, v.Memory); err != nil {
			return err
		}
	}
	if err := effectLimit.Do(func() error { return m.write(p, files) }); err != nil {
		return errors.Join(err, undo(made))
	}
	return nil
}

// Check returns the error with which Ensure refuses p and v before it makes
// anything: a path outside the root, a value that no kernel or not this machine
// takes, on v2 a memory limit below what is in use. What only the kernel refuses
// it cannot tell.
func (m *Manager) Check(p string, v Values) error {
	if err := CheckPath(m.root, p); err != nil {
		return err
	}
	if _, err := settings(v, m.unified, m.sizes); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", p, err)
	}
	return m.checkMemory(p, v.Memory)
}

func undo(dirs []string) error {
	for _, dir := range dirs {
		if _, err := removeTree(dir); err != nil {
			return err
		}
	}
	return nil
}

// makeIn makes p in one hierarchy and readies it for limits.
func (m *Manager) makeIn(h *hierarchy, p string) (dir string, isNew bool, err error) {
	dir = h.path(p)
	if isNew, err = makeDir(h, p); err != nil {
		return dir, isNew, err
	}
	if h.unified {
		return dir, isNew, delegate(h, p)
	}
	return dir, isNew, nil
}

// makeDir makes p and its ancestors. It begins at p: mostly only that is missing.
// An ancestor that another call removes in between is made again.
func makeDir(h *hierarchy, p string) (isNew bool, err error) {
	dir := h.path(p)
	for range 10 {
		err = effectMkdir.Do(func() error { return unix.Mkdir(dir, 0o755) })
		switch {
		case err == nil, isNew && errors.Is(err, unix.EEXIST):
			isNew = true
			if err = initCPUSet(h, p); !gone(err) {
				return true, err
			}
			continue // removed already, as one above may be
		case errors.Is(err, unix.EEXIST):
			return false, nil
		case !errors.Is(err, unix.ENOENT) || path.Dir(p) == "/":
			return isNew, fmt.Errorf("mkdir %s: %w", dir, err)
		}
		if _, err := makeDir(h, path.Dir(p)); err != nil {
			return isNew, err
		}
	}
	return isNew, fmt.Errorf("mkdir %s: %w: the cgroup above is being removed", dir, err)
}

// initCPUSet gives a new v1 cpuset its parent's CPUs and memory nodes, without
// which no process may enter it, and makes those below it inherit.
func initCPUSet(h *hierarchy, p string) error {
	if h.unified || !h.has("cpuset") {
		return nil
	}
	dir, above := h.path(p), h.path(path.Dir(p))
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := readFile(dir, file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(own) != "" {
			return nil // inherited
		}
		theirs, err := readFile(above, file)
		if err != nil {
			return err
		}
		if err := writeFile(dir, file, theirs); err != nil {
			return err
		}
	}
	return writeFile(dir, "cgroup.clone_children", "1")
}

// delegate sees to it that a v2 cgroup has the controllers that limit it: each
// ancestor must offer them to those below it.
func delegate(h *hierarchy, p string) error {
	want := h.useful()
	has, err := readFile(h.path(p), "cgroup.controllers")
	if err != nil || len(missing(want, has)) == 0 {
		return err
	}
	parts := strings.Split(strings.Trim(path.Dir(p), "/"), "/")
	at := "/"
	for i := 0; ; i++ {
		if err := offer(h, at, want); err != nil {
			return err
		}
		if i == len(parts) || parts[i] == "" {
			return nil
		}
		at = path.Join(at, parts[i])
	}
}

func offer(h *hierarchy, at string, want []string) error {
	dir := h.path(at)
	now, err := readFile(dir, "cgroup.subtree_control")
	if err != nil {
		return err
	}
	lacks := missing(want, now)
	if len(lacks) == 0 {
		return nil
	}
	err = effectDelegate.Do(func() error { return writeFile(dir, "cgroup.subtree_control", "+"+strings.Join(lacks, " +")) })
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: processes live in cgroup %s itself, so it cannot offer %v to cgroups below; move them into a cgroup of their own", err, at, lacks)
	case errors.Is(err, unix.ENOENT):
		return &MissingControllerError{Controller: strings.Join(lacks, ","), Hint: fmt.Sprintf("cgroup %s was not given it", at)}
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: cgroup %s is threaded, which pods' cgroups cannot be", err, at)
	}
	return err
}

// missing returns those of want that the words of have do not name.
func missing(want []string, have string) []string {
	has := map[string]bool{}
	for w := range strings.FieldsSeq(have) {
		has[w] = true
	}
	var lacks []string
	for _, w := range want {
		if !has[w] {
			lacks = append(lacks, w)
		}
	}
	return lacks
}

// checkMemory refuses a limit below what an existing cgroup uses: v2 would kill
// processes to reach it.
func (m *Manager) checkMemory(p string, memory *int64) error {
	if memory == nil || *memory <= 0 || !m.Unified() {
		return nil
	}
	now, err := readFile(m.find("memory").path(p), "memory.current")
	if err != nil || number(now) <= uint64(*memory) {
		return err
	}
	return memoryInUse(p, *memory, now)
}

func memoryInUse(p string, limit int64, usage string) error {
	return fmt.Errorf("limit cgroup %s: a memory limit of %d bytes is below the %d bytes in use", p, limit, number(usage))
}

func (m *Manager) write(p string, files []setting) error {
	for i, f := range files {
		h := m.find(f.controller)
		if h == nil {
			return &MissingControllerError{Controller: f.controller, Hint: m.hint(f.controller)}
		}
		dir := h.path(p)
		err := writeFile(dir, f.file, f.content)
		if errors.Is(err, unix.ENOENT) && h.unified {
			// Another call offers the controller right now: the kernel says so before
			// the files are there. Offering it again waits for that.
			if writeFile(h.path(path.Dir(p)), "cgroup.subtree_control", "+"+f.controller) == nil {
				err = writeFile(dir, f.file, f.content)
			}
		}
		if errors.Is(err, unix.EINVAL) && f.file == "cpu.cfs_period_us" && i+1 < len(files) && files[i+1].file == "cpu.cfs_quota_us" {
			// With the old quota the new period would be more than the parent's
			// share: the quota goes first.
			if err = writeFile(dir, files[i+1].file, files[i+1].content); err == nil {
				err = writeFile(dir, f.file, f.content)
			}
		}
		if errors.Is(err, unix.EBUSY) && f.file == "memory.limit_in_bytes" {
			usage, _ := readFile(dir, "memory.usage_in_bytes")
			limit, _ := strconv.ParseInt(f.content, 10, 64)
			return memoryInUse(p, limit, usage)
		}
		if err != nil {
			return fmt.Errorf("limit cgroup %s to %s: %w", p, f.content, err)
		}
	}
	return nil
}
