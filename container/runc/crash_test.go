//go:build linux

package runc_test

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
)

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
	if st.ExitCode != 137 || st.ExitUnknown && haveExitInfo() || st.LogDropped != 0 {
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
func numbers(t testing.TB, path string) (last, twice int) {
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
