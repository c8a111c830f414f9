package cri

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Another Runtime over the same directory sees and drives what the first made.
func TestAdopt(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	first := w.open(t)
	sb := runSandbox(t, first)
	run := startContainer(t, first, sb, containerConfig("run", "sleep"))
	done := startContainer(t, first, sb, containerConfig("done", "exit", "4"))
	first.Close(ctx)

	second := w.open(t)
	if st, err := second.PodSandboxStatus(ctx, sb, false); err != nil || st.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_READY || st.GetStatus().GetNetwork().GetIp() != "10.1.2.3" || len(st.GetContainersStatuses()) != 2 {
		t.Fatalf("adopted sandbox: %v %v", st, err)
	}
	if st, err := second.ContainerStatus(ctx, done, false); err != nil || st.GetStatus().GetExitCode() != 4 {
		t.Errorf("exit code of the time between: %v %v", st, err)
	}
	if _, err := second.RunPodSandbox(ctx, sandboxConfig(), ""); status.Code(err) != codes.AlreadyExists {
		t.Errorf("the name is free: %v", err)
	}
	if err := second.StopContainer(ctx, run, 60); err != nil {
		t.Fatal(err)
	}
	// What one process does, another that lives on sees.
	third := w.open(t)
	if err := third.RemovePodSandbox(ctx, sb); err != nil {
		t.Fatal(err)
	}
	if _, err := second.PodSandboxStatus(ctx, sb, false); status.Code(err) != codes.NotFound {
		t.Errorf("status after another process removed it: %v", err)
	}
	w.wantEmpty(t)
}

// After a restart of the machine everything counts as lost, and can be removed.
func TestReboot(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	first := w.open(t)
	sb := runSandbox(t, first)
	run := startContainer(t, first, sb, containerConfig("run", "sleep"))
	first.Close(ctx)
	w.machine.boot = "boot-2"
	w.rt.mu.Lock()
	w.rt.all = nil
	w.rt.mu.Unlock()

	r := w.open(t)
	sbs, err := r.ListPodSandbox(ctx, nil)
	if err != nil || len(sbs) != 1 || sbs[0].GetState() != runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
		t.Fatalf("sandboxes after the restart: %v %v", sbs, err)
	}
	st, err := r.ContainerStatus(ctx, run, false)
	if got := st.GetStatus(); err != nil || got.GetState() != runtimeapi.ContainerState_CONTAINER_EXITED || got.GetExitCode() != 137 || got.GetReason() != "ContainerStatusUnknown" {
		t.Errorf("container after the restart: %v %v", st, err)
	}
	if err := r.StopContainer(ctx, run, 60); err != nil {
		t.Error(err)
	}
	if err := errors.Join(r.StopPodSandbox(ctx, sb), r.RemovePodSandbox(ctx, sb)); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

// The directory of the boot is gone with it: what lay on disk is found.
func TestRebootWithoutRun(t *testing.T) {
	w := newWorld(t)
	first := w.open(t)
	startContainer(t, first, runSandbox(t, first), containerConfig("run", "sleep"))
	first.Close(context.Background())
	if err := os.RemoveAll(w.o.Run); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	if w.images.roots() != 0 {
		t.Error("the root filesystem of a lost container is still there")
	}
	if left, _ := os.ReadDir(w.o.Root + "/cri/volumes"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A process dies while a child that it has just forked holds its locks: what it
// made half is removed when the child lets go, and its name is free then.
func TestHalfMadeAndLockedByAChild(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	first := w.open(t)
	sb := runSandbox(t, first)
	ss, _ := first.sandboxes.get(sb)
	s := *ss
	s.Phase = making
	if err := first.sandboxes.put(&s); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFileOf(first.sandboxes.path(sb), exclusiveNow)
	if err != nil {
		t.Fatal(err)
	}
	second := w.open(t)
	if _, err := second.sandboxes.get(sb); err != nil {
		t.Fatal("it was removed although it is locked")
	}
	time.AfterFunc(50*time.Millisecond, func() { lock.Close() })
	again, err := second.RunPodSandbox(ctx, sandboxConfig(), "")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := second.sandboxes.get(sb); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the half-made sandbox is still there")
		}
	}
	if err := second.RemovePodSandbox(ctx, again); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

// half makes a sandbox or container whose maker dies in the middle: the steps
// were taken, the record says making, and nobody holds the lock.
func TestHalfMade(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	first := w.open(t)
	sb := runSandbox(t, first)
	id := startContainer(t, first, sb, containerConfig("run", "sleep"))
	cs, _ := first.containers.get(id)
	half := *cs
	half.Phase = making
	if err := first.containers.put(&half); err != nil {
		t.Fatal(err)
	}
	if _, err := first.ContainerStatus(ctx, id, false); status.Code(err) != codes.NotFound {
		t.Errorf("a half-made container is shown: %v", err)
	}

	// Its maker lives: nobody touches it.
	lock, err := lockFileOf(first.containers.path(id), exclusiveNow)
	if err != nil {
		t.Fatal(err)
	}
	looks := w.open(t)
	if w.images.roots() != 1 {
		t.Error("a container was removed under its maker's hands")
	}
	if err := looks.Close(ctx); err != nil { // else it would look again, at what comes next
		t.Fatal(err)
	}
	lock.Close()
	w.open(t)
	if w.images.roots() != 0 {
		t.Error("a half-made container was not removed")
	}

	ss, _ := first.sandboxes.get(sb)
	s := *ss
	s.Phase = making
	if err := first.sandboxes.put(&s); err != nil {
		t.Fatal(err)
	}
	w.net.fail = map[string]error{"Teardown": errors.New("plugin crashed")}
	r := w.open(t)
	if sbs, err := r.ListPodSandbox(ctx, nil); err != nil || len(sbs) != 1 || sbs[0].GetState() != runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("a half-made sandbox that cannot be removed is not listed: %v %v", sbs, err)
	}
	w.net.fail = nil
	if err := r.RemovePodSandbox(ctx, sb); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

// Each step fails once: the error says so, nothing is left, the name is free.
func TestFailuresLeaveNothing(t *testing.T) {
	boom := errors.New("boom")
	ctx := context.Background()
	t.Run("network", func(t *testing.T) {
		w := newWorld(t)
		r := w.open(t)
		w.net.fail = map[string]error{"Setup": boom}
		if _, err := r.RunPodSandbox(ctx, sandboxConfig(), ""); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
		w.wantEmpty(t)
		w.net.fail["Teardown"] = boom
		if _, err := r.RunPodSandbox(ctx, sandboxConfig(), ""); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
		sbs, _ := r.ListPodSandbox(ctx, nil)
		if len(sbs) != 1 {
			t.Fatal("a sandbox whose network could not be taken down is forgotten")
		}
		if err := r.RemovePodSandbox(ctx, sbs[0].GetId()); !errors.Is(err, boom) {
			t.Errorf("removed with its network up: %v", err)
		}
		w.net.fail = nil
		if err := r.RemovePodSandbox(ctx, sbs[0].GetId()); err != nil {
			t.Error(err)
		}
		w.wantEmpty(t)
	})
	t.Run("container", func(t *testing.T) {
		w := newWorld(t)
		r := w.open(t)
		sb := runSandbox(t, r)
		w.rt.fail = map[string]error{"Create": boom}
		if _, err := r.CreateContainer(ctx, sb, containerConfig("c", "sleep"), nil); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
		w.rt.fail, w.images.fail = nil, map[string]error{"Mount": boom}
		if _, err := r.CreateContainer(ctx, sb, containerConfig("c", "sleep"), nil); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
		w.images.fail = nil
		startContainer(t, r, sb, containerConfig("c", "sleep"))
		w.rt.fail = map[string]error{"Update": boom}
		cs, _ := r.ListContainers(ctx, nil)
		err := r.UpdateContainerResources(ctx, cs[0].GetId(), &runtimeapi.ContainerResources{Linux: &runtimeapi.LinuxContainerResources{CpuShares: 5}})
		if st, _ := r.ContainerStatus(ctx, cs[0].GetId(), false); !errors.Is(err, boom) || st.GetStatus().GetResources().GetLinux().GetCpuShares() != 0 {
			t.Errorf("after a failed update: %v %v", err, st.GetStatus().GetResources())
		}
		if err := r.RemovePodSandbox(ctx, sb); err != nil {
			t.Fatal(err)
		}
		w.wantEmpty(t)
	})
	t.Run("cancelled", func(t *testing.T) {
		w := newWorld(t)
		r := w.open(t)
		sb := runSandbox(t, r)
		id := startContainer(t, r, sb, containerConfig("c", "ignore"))
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := r.StopContainer(short, id, 3600); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a stop that was given up: %v", err)
		}
		if st, _ := r.ContainerStatus(ctx, id, false); st.GetStatus().GetState() != runtimeapi.ContainerState_CONTAINER_RUNNING {
			t.Error("a stop that was given up killed")
		}
		if got := w.rt.signals(id); len(got) != 1 || got[0].String() != "user defined signal 1" {
			t.Errorf("signals %v, want the image's own, once", got)
		}
		if err := r.StopContainer(ctx, id, 1); err != nil {
			t.Error(err)
		}
		if got := w.rt.signals(id); len(got) != 2 || got[1] != sigkill {
			t.Errorf("signals %v, want no second stop signal", got)
		}
	})
}
