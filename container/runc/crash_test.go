//go:build linux

package runc_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// supervisor is the pid of the one that lives, waiting for it.
func (p *place) supervisor() int {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		b, err := os.ReadFile(filepath.Join(p.opts.Run, "supervisor.alive"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			continue
		}
		if cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(cmd, []byte(p.opts.Run)) {
			return pid
		}
	}
	p.t.Fatal("no supervisor lives")
	return 0
}

func (p *place) killSupervisor() {
	p.t.Helper()
	pid := p.supervisor()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
}

// holdBack keeps anyone from starting a supervisor until the result is called.
func (p *place) holdBack() (release func()) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.opts.Run, "supervisor.lock"), os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		p.t.Fatal(err)
	}
	return func() { f.Close() }
}

func (p *place) start(r *runc.Runtime, id string, args ...string) container.Spec {
	p.t.Helper()
	spec := container.Spec{ID: id, OCI: p.oci(id, append([]string{"/testbox"}, args...)...), Log: filepath.Join(p.dir, "logs", id+".log")}
	p.startSpec(r, spec)
	return spec
}

func (p *place) startSpec(r *runc.Runtime, spec container.Spec) {
	p.t.Helper()
	ctx := context.Background()
	if err := r.Create(ctx, spec); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		last, err := runc.Open(p.opts) // r may be closed by now
		if err != nil {
			p.t.Fatal(err)
		}
		defer last.Close()
		if err := last.Delete(ctx, spec.ID); err != nil {
			p.t.Error(err)
		}
	})
	if err := r.Start(ctx, spec.ID); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) state(r *runc.Runtime, id string) container.State {
	p.t.Helper()
	st, err := r.State(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return st
}

func (p *place) awaitStop(r *runc.Runtime, id string) container.State {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if st := p.state(r, id); st.Status == container.Stopped {
			return st
		}
		if time.Now().After(end) {
			p.t.Fatalf("container %s does not stop", id)
		}
	}
}

func (p *place) awaitLog(spec container.Spec, text string) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if b, _ := os.ReadFile(spec.Log); bytes.Contains(b, []byte(text)) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("the log of %s does not say %q", spec.ID, text)
		}
	}
}

// dead waits until a process that is not our child has ended.
func dead(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20000); n != 1 {
		t.Fatalf("process %d does not end", pid)
	}
}

// A container that writes as fast as it can loses no line to any number of
// SIGKILLs of its supervisor. LIFEPOD_KILLS says how many; 300 is the full form.
func TestNoLineIsLostToKills(t *testing.T) {
	kills := 30
	if n, err := strconv.Atoi(os.Getenv("LIFEPOD_KILLS")); err == nil {
		kills = n
	}
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := p.start(r, "w", "lines", "0")
	pid := p.state(r, "w").Pid
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range kills {
		if i%5 > 0 { // every fifth dies while it starts
			p.awaitGrowth(spec)
		}
		time.Sleep(time.Duration(random.IntN(30000)) * time.Microsecond)
		p.killSupervisor()
	}
	st := p.state(r, "w")
	if st.Status != container.Running || st.Pid != pid {
		t.Fatalf("after %d kills: %+v, it was process %d", kills, st, pid)
	}
	if err := r.Signal(context.Background(), "w", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st = p.awaitStop(r, "w")
	if st.ExitCode != 137 || st.ExitUnknown || st.LogDropped != 0 {
		t.Errorf("in the end: %+v", st)
	}
	lines, twice := numbers(t, spec.Log)
	t.Logf("%d kills (seed %d): %d lines, none missing, %d twice", kills, seed, lines, twice)
}

// awaitGrowth waits until more has come into the log.
func (p *place) awaitGrowth(spec container.Spec) {
	p.t.Helper()
	size := func() int64 {
		fi, err := os.Stat(spec.Log)
		if err != nil {
			return 0
		}
		return fi.Size()
	}
	was := size()
	for end := time.Now().Add(30 * time.Second); size() == was; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatal("the log does not grow")
		}
	}
}

// numbers checks that every number from 1 is in the log, and counts those that
// are there again.
func numbers(t *testing.T, path string) (last, twice int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		line := in.Text()
		i := strings.Index(line, " stdout F line ")
		if i != len("2006-01-02T15:04:05.000000000Z") {
			if strings.Contains(line, " stdout P line") {
				continue // the last, which the kill cut off
			}
			t.Fatalf("after line %d: %q", last, line)
		}
		n, err := strconv.Atoi(line[i+len(" stdout F line "):])
		switch {
		case err != nil:
			t.Fatalf("after line %d: %q", last, line)
		case n == last+1:
			last = n
		case n <= last:
			twice++
		default:
			t.Fatalf("line %d follows line %d", n, last)
		}
	}
	return last, twice
}

// A container that ends while no supervisor runs: an agent that is connected
// saves its last output and its exit code.
func TestEndWithoutSupervisor(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := p.start(r, "a", "trap")
	p.awaitLog(spec, "ready")
	st := p.state(r, "a")
	release := p.holdBack()
	p.killSupervisor()
	if err := unix.Kill(st.Pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	dead(t, st.Pid)
	release()
	st = p.awaitStop(r, "a")
	if haveExitInfo() && (st.ExitCode != 3 || st.ExitUnknown) {
		t.Errorf("its state: %+v, want exit code 3", st)
	}
	if b, _ := os.ReadFile(spec.Log); !bytes.Contains(b, []byte("got terminated")) {
		t.Errorf("its last output is lost: %q", b)
	}
}

// haveExitInfo tells whether this kernel (6.15 on) keeps the exit code of a
// process that was reaped for who holds its pidfd.
func haveExitInfo() bool {
	c := exec.Command("true")
	if c.Start() != nil {
		return false
	}
	fd, err := unix.PidfdOpen(c.Process.Pid, 0)
	_ = c.Wait()
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	return unix.IoctlPidfdInfo(fd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0
}

// With neither supervisor nor agent the exit code is gone, and that is said.
func TestEndUnseen(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := p.start(r, "a", "trap")
	p.awaitLog(spec, "ready")
	pid := p.state(r, "a").Pid
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	p.killSupervisor()
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	dead(t, pid)
	time.Sleep(20 * time.Millisecond) // it is reaped by then, or is still a zombie that tells
	st := p.awaitStop(p.open(), "a")
	if st.ExitCode != container.UnknownExitCode || !st.ExitUnknown {
		if st.ExitCode != 3 {
			t.Errorf("its state: %+v", st)
		}
	}
}

// Everything works on containers that an earlier supervisor started.
func TestTakenUp(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	ctx := context.Background()
	run := p.start(r, "run", "trap")
	p.awaitLog(run, "ready")
	made := container.Spec{ID: "made", OCI: p.oci("made", "/testbox", "exit", "5"), Log: p.dir + "/logs/made.log"}
	if err := r.Create(ctx, made); err != nil {
		t.Fatal(err)
	}
	p.start(r, "done", "exit", "4")
	was := p.awaitStop(r, "done")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	p.killSupervisor()
	r = p.open()
	if st := p.state(r, "done"); !st.FinishedAt.Equal(was.FinishedAt) || st.ExitCode != 4 || st.ExitUnknown {
		t.Errorf("the stopped one: %+v, it was %+v", st, was)
	}
	if st := p.state(r, "made"); st.Status != container.Created {
		t.Errorf("the created one: %+v", st)
	}
	if err := r.Start(ctx, "made"); err != nil {
		t.Errorf("start the created one: %v", err)
	}
	if st := p.awaitStop(r, "made"); st.ExitCode != 5 && haveExitInfo() {
		t.Errorf("the created one, started: %+v", st)
	}
	if err := r.Delete(ctx, "made"); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	code, err := r.Exec(ctx, "run", container.Exec{Args: []string{"/testbox", "echo", "hi"}, Stdout: &out})
	if code != 0 || err != nil || out.String() != "hi\n" {
		t.Errorf("exec: %d, %v, %q", code, err, out.String())
	}
	if err := r.Signal(ctx, "run", syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if st := p.awaitStop(r, "run"); st.ExitCode != 3 && haveExitInfo() {
		t.Errorf("the running one, stopped: %+v", st)
	}
	p.awaitLog(run, "got terminated")
}

// An exec does not outlive its supervisor, nor its agent.
func TestExecEndsWithItsCaller(t *testing.T) {
	for _, who := range []string{"supervisor", "agent"} {
		t.Run(who, func(t *testing.T) {
			p := newPlace(t)
			p.usePrebuilt()
			r, other := p.open(), p.open()
			p.start(other, "a", "sleep", "1h")
			ended := make(chan error, 1)
			go func() {
				_, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "ignore"}})
				ended <- err
			}()
			pids := p.processes(2)
			if who == "supervisor" {
				p.killSupervisor()
			} else if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Error("the exec ended without an error")
			}
			p.processes(1)
			t.Logf("processes were %v", pids)
			if st := p.state(other, "a"); st.Status != container.Running {
				t.Errorf("the container: %+v", st)
			}
		})
	}
}

// processes waits until the cgroup of container a has so many.
func (p *place) processes(n int) (pids []string) {
	p.t.Helper()
	file := "/sys/fs/cgroup/pids/lifepod-" + runc.RootID(p.dir) + "/a/cgroup.procs"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		file = strings.Replace(file, "/pids/", "/", 1)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(file)
		pids = slices.DeleteFunc(strings.Fields(string(b)), zombie)
		if len(pids) == n {
			return pids
		}
		if time.Now().After(end) {
			p.t.Fatalf("the container has processes %v, want %d", pids, n)
		}
	}
}

// zombie tells that pid has ended, and that this machine's init is slow to reap
// it.
func zombie(pid string) bool {
	b, _ := os.ReadFile("/proc/" + pid + "/stat")
	return bytes.Contains(b, []byte(") Z "))
}

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
		p := &place{dir: dir, rootfs: filepath.Join(dir, "rootfs")}
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
