package local_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/cri/stream"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// processes are the pids in cgroups that have part in their name.
func processes(t *testing.T, part string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, f := range files {
		b, _ := os.ReadFile(f)
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
		if bytes.Contains(b, []byte(part)) && !passing(args) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// passing tells a process that comes and goes: a hook or an exec probe of the web
// pod, also while it is still on its way into the container, or already a zombie.
func passing(args []byte) bool {
	words := strings.Split(string(args), "\x00")
	return len(words) < 2 || slices.Contains([]string{"check", "touch", "init"}, words[1])
}

func running(s corev1.PodStatus) bool {
	return len(s.ContainerStatuses) > 0 && s.ContainerStatuses[0].State.Running != nil
}

// A container whose process is killed from outside is started again.
func TestKilledContainerIsRestarted(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Always", "[work, /beat]"))
	until(t, h, running)
	pids := processes(t, string(h.Pod().UID))
	if len(pids) != 1 {
		t.Fatalf("its processes: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st := until(t, h, func(s corev1.PodStatus) bool { return running(s) && s.ContainerStatuses[0].RestartCount == 1 })
	if e := st.ContainerStatuses[0].LastTerminationState.Terminated; e == nil || e.ExitCode != 137 || e.Reason != "Error" {
		t.Errorf("the one before ended as %+v", e)
	}
	stop(t, h)
}

// killSupervisor kills the supervisor of a run directory and waits for its end.
func killSupervisor(t *testing.T, run string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(run, "supervisor.alive"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || !bytes.Contains(cmd, []byte(run)) {
		t.Fatalf("process %d is no supervisor of %s: %q, %v", pid, run, cmd, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000); n != 1 { //nolint:gosec // a descriptor
		t.Fatalf("the supervisor does not end: %v", err)
	}
}

// The supervisor is killed under a pod: the containers go on, the pod stays
// ready, and exec, logs and stop work as if nothing had been.
func TestSupervisorIsKilled(t *testing.T) {
	o := options(t)
	n := open(t, o)
	defer n.Close()
	h := runFile(t, n, "../../examples/pods/web.yaml")
	before := until(t, h, ready)
	pids := processes(t, string(h.Pod().UID))
	for range 3 {
		killSupervisor(t, o.Run)
		var out strings.Builder
		code, err := n.Exec(soon(t), "web", "web", stream.ExecOptions{Cmd: []string{"/demo", "say", "alive"}, Stdout: &out})
		if err != nil || code != 0 || out.String() != "alive\n" {
			t.Fatalf("exec: %d, %v, %q", code, err, out.String())
		}
	}
	if now := processes(t, string(h.Pod().UID)); !slices.Equal(now, pids) {
		t.Errorf("processes %v, they were %v", now, pids)
	}
	after := until(t, h, ready)
	for i, c := range after.ContainerStatuses {
		if c.ContainerID != before.ContainerStatuses[i].ContainerID || c.RestartCount != 0 || !c.Ready {
			t.Errorf("container %s did not go on: %+v", c.Name, c)
		}
	}
	for _, c := range stop(t, h).ContainerStatuses {
		if e := c.State.Terminated; e == nil || e.ExitCode != 0 {
			t.Errorf("container %s ended as %+v", c.Name, c.State)
		}
	}
}

// An agent dies with its whole process group, and with its cgroup: the pod goes
// on, and the next agent takes it up.
func TestAgentIsKilled(t *testing.T) {
	web, err := os.ReadFile("../../examples/pods/web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for how, kill := range map[string]func(*testing.T, *exec.Cmd){"group": killGroup, "cgroup": killCgroup} {
		t.Run(how, func(t *testing.T) {
			o := options(t)
			dir := t.TempDir()
			a := agentTask{
				Root: o.Root, Run: o.Run, Mirror: o.Images.Client.Mirrors[demoHost], Manifest: string(web),
				Gate: filepath.Join(dir, "ready"), Stay: true,
			}
			cmd := a.command(t)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			var wg sync.WaitGroup
			wg.Go(func() { ended <- cmd.Wait() })
			defer wg.Wait()
			defer cmd.Process.Kill()
			for _, err := os.Stat(a.Gate); err != nil; _, err = os.Stat(a.Gate) {
				select {
				case err := <-ended:
					t.Fatalf("%v\n%s", err, &out)
				case <-time.After(10 * time.Millisecond):
				}
			}
			pids := processes(t, local.RootID(o.Root))
			kill(t, cmd)
			<-ended

			n := open(t, o)
			defer n.Close()
			ctx, cancel := context.WithCancel(soon(t))
			wg.Go(func() {
				if err := n.Agent(ctx); err != nil {
					t.Error(err)
				}
			})
			defer cancel()
			awaitList(t, n, "driven", func(pods []local.PodInfo) bool {
				return len(pods) == 1 && pods[0].Driven && ready(pods[0].Status)
			})
			if now := processes(t, local.RootID(o.Root)); !slices.Equal(now, pids) {
				t.Errorf("processes %v, they were %v", now, pids)
			}
			if err := n.Stop(ctx, "web", nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func killGroup(t *testing.T, cmd *exec.Cmd) {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// killCgroup does what a service manager does.
func killCgroup(t *testing.T, cmd *exec.Cmd) {
	base := "/sys/fs/cgroup"
	if _, err := os.Stat(base + "/cgroup.controllers"); err != nil {
		base += "/unified"
	}
	dir, err := os.MkdirTemp(base, "lifepod-test-agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 200 { // until the kernel has forgotten the processes
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s stays", dir)
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
}

// Two roots run the same pod, and one goes while the other serves.
func TestTwoRoots(t *testing.T) {
	a, b := open(t, options(t)), open(t, options(t))
	defer a.Close()
	defer b.Close()
	hs := make([]*local.Handle, 2)
	ips := make([]string, 2)
	for i, n := range []*local.Node{a, b} {
		hs[i] = runFile(t, n, "../../examples/pods/web.yaml")
	}
	for i, h := range hs {
		ips[i] = until(t, h, ready).PodIP
	}
	if ips[0] == ips[1] {
		t.Fatalf("both have %s", ips[0])
	}
	get(t, ips[0])
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			get(t, ips[1])
		}
	})
	stop(t, hs[0])
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
	get(t, ips[1])
	stop(t, hs[1])
}

func get(t *testing.T, ip string) {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + net.JoinHostPort(ip, "8080") + "/")
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(b), "one real pod") {
		t.Errorf("%s: %q, %v", ip, b, err)
	}
}

// Following a log ends with its container, with all that it said.
func TestFollowEndsWithTheContainer(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Never", "[serve, ':8080', /]"))
	awaitLog(t, n, "one", "main", "serving") // else it may not heed the signal yet
	var out strings.Builder
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Logs(soon(t), "one", local.LogOptions{Follow: true}, &out, &out); err != nil {
			t.Error(err)
		}
	})
	for _, pid := range processes(t, string(h.Pod().UID)) {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if !strings.HasSuffix(out.String(), "web stops\n") {
		t.Errorf("log %q", out.String())
	}
	stop(t, h)
}

// exec passes input on until it ends, keeps the outputs apart and tells the exit
// code.
func TestExec(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Always", "[work, /beat]"))
	until(t, h, running)
	for _, c := range []struct {
		cmd              []string
		in, out, errText string
		code             int
	}{
		{[]string{"/demo", "cat"}, "hi\n", "hi\n", "", 0},
		{[]string{"/demo", "cat"}, strings.Repeat("0123456789abcdef", 1<<16), strings.Repeat("0123456789abcdef", 1<<16), "", 0},
		{[]string{"/demo", "crash"}, "", "", "demo: crashed as told\n", 1},
		{[]string{"/demo", "say", "x"}, "unread", "x\n", "", 0},
	} {
		var out, errOut strings.Builder
		code, err := n.Exec(soon(t), "one", "", stream.ExecOptions{
			Cmd: c.cmd, Stdin: strings.NewReader(c.in), Stdout: &out, Stderr: &errOut,
		})
		if err != nil || code != c.code || out.String() != c.out || errOut.String() != c.errText {
			t.Errorf("%v: %d, %v, %d bytes, %q", c.cmd, code, err, out.Len(), errOut.String())
		}
	}
	code, err := n.Exec(soon(t), "one", "", stream.ExecOptions{Cmd: []string{"/nowhere"}})
	if err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("a missing program: %d, %v", code, err)
	}
	stop(t, h)
}
