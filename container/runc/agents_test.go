//go:build linux

package runc_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
)

// 50 agents that start at once get one supervisor.
func TestManyAgents(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	var wg sync.WaitGroup
	for i := range 50 {
		r := p.open()
		wg.Go(func() {
			id := "a" + strconv.Itoa(i)
			spec := container.Spec{ID: id, OCI: p.oci(id, "nosuchprogram")}
			if i%10 != 0 { // most only look
				spec.OCI.Process.Args = nil
				ctx, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
				defer stop()
				for _, err := range r.Events(ctx) {
					if err != nil {
						t.Error(err)
					}
				}
				return
			}
			if err := r.Create(context.Background(), spec); err != nil {
				t.Error(err)
			}
			if err := r.Delete(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
	}
	one := p.supervisor()
	wg.Wait()
	if now := p.supervisor(); now != one {
		t.Errorf("supervisor %d followed %d", now, one)
	}
	if all := p.supervisors(); len(all) != 1 {
		t.Errorf("%d supervisors: %v", len(all), all)
	}
}

func (p *place) supervisors() (pids []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range dirs {
		if b, _ := os.ReadFile(f); bytes.HasPrefix(b, []byte("lifepod-supervisor\x00"+p.opts.Run)) {
			pids = append(pids, f)
		}
	}
	return pids
}

// agent is what the test's binary does as another agent: it starts a container
// and stays.
func agent(dir string) {
	r, err := runc.Open(runc.Options{Root: dir, Run: filepath.Join(dir, "run"), Supervisor: os.Getenv("RUNC_TEST_SUPERVISOR"), SupervisorIdle: 50 * time.Millisecond})
	if err == nil {
		p := &place{dir: dir}
		err = r.Create(context.Background(), container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "sleep", "1h")})
	}
	if err == nil {
		err = r.Start(context.Background(), "a")
	}
	fmt.Println("agent:", err)
	time.Sleep(time.Hour)
	os.Exit(0)
}

// An agent that is killed with its process group and with its cgroup leaves
// supervisor and container alone.
func TestAgentKilled(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	group := "/sys/fs/cgroup/unified/lifepod-" + runc.RootID(p.dir) + "-agent"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		group = strings.Replace(group, "/unified", "", 1)
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "RUNC_TEST_AGENT="+p.dir, "RUNC_TEST_SUPERVISOR="+p.opts.Supervisor)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "agent: <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	one := p.supervisor()
	if err := unix.Kill(-cmd.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := os.Remove(group); err != nil {
		t.Errorf("something is left in the agent's cgroup: %v", err)
	}
	time.Sleep(100 * time.Millisecond)
	r := p.open()
	if st := p.state(r, "a"); st.Status != container.Running {
		t.Errorf("the container: %+v", st)
	}
	if now := p.supervisor(); now != one {
		t.Errorf("supervisor %d followed %d", now, one)
	}
	if err := r.Delete(context.Background(), "a"); err != nil {
		t.Error(err)
	}
}

// Containers cost the supervisor no watcher and no thread each.
// LIFEPOD_CONTAINERS says how many; 500 is the full form.
func TestManyContainers(t *testing.T) {
	n := 50
	if k, err := strconv.Atoi(os.Getenv("LIFEPOD_CONTAINERS")); err == nil {
		n = k
	}
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	for i := range n {
		spec := container.Spec{ID: "c" + strconv.Itoa(i), OCI: p.oci("c"+strconv.Itoa(i), "/testbox", "sleep", "1h"), Log: fmt.Sprintf("%s/logs/%d.log", p.dir, i)}
		p.startSpec(r, spec)
	}
	oom := container.Spec{ID: "oom", OCI: p.oci("oom", "/testbox", "alloc", "512")}
	limit := int64(64 << 20)
	oom.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	p.startSpec(r, oom)
	if st := p.awaitStop(r, "oom"); !st.OOMKilled {
		t.Errorf("beside %d others: %+v", n, st)
	}
	pid := p.supervisor()
	inotify := 0
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, f := range fds {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name())); strings.Contains(to, "inotify") {
			inotify++
		}
	}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if inotify > 1 || len(threads) > 32 {
		t.Errorf("for %d containers: %d inotify instances, %d threads", n, inotify, len(threads))
	}
	t.Logf("%d containers: %d inotify instances, %d threads, %d descriptors", n, inotify, len(threads), len(fds))
}
