package critest

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func containerLife(ctx context.Context, s *suite) {
	id := s.create(ctx, s.sandbox(ctx), "main", "sleep")
	st := s.status(ctx, id)
	if st.GetState() != runtimeapi.ContainerState_CONTAINER_CREATED || st.GetStartedAt() != 0 || st.GetFinishedAt() != 0 || st.GetCreatedAt() == 0 ||
		st.GetImageRef() == "" || st.GetImage().GetImage() == "" || st.GetMetadata().GetName() != "main" || st.GetLabels()["name"] != "main" {
		s.Errorf("status of a created container: %v", st)
	}
	s.must(s.Runtime.StartContainer(ctx, id))
	if st := s.status(ctx, id); st.GetState() != runtimeapi.ContainerState_CONTAINER_RUNNING || st.GetStartedAt() < st.GetCreatedAt() {
		s.Errorf("status of a running container: %v", st)
	}
	if s.Runtime.StartContainer(ctx, id) == nil {
		s.Error("a running container was started")
	}
	s.await(ctx, id)
	for range 2 {
		s.must(s.Runtime.StopContainer(ctx, id, 60))
		st := s.status(ctx, id)
		if st.GetState() != runtimeapi.ContainerState_CONTAINER_EXITED || st.GetExitCode() != 128+15 || st.GetReason() != "Error" || st.GetFinishedAt() < st.GetStartedAt() {
			s.Errorf("status of a stopped container: %v", st)
		}
	}
	if s.Runtime.StartContainer(ctx, id) == nil {
		s.Error("a stopped container was started")
	}
	for range 2 {
		s.must(s.Runtime.RemoveContainer(ctx, id))
	}
	_, err := s.Runtime.ContainerStatus(ctx, id, false)
	s.wantCode(err, codes.NotFound, "status of a removed container")
}

func containerName(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	id := s.create(ctx, sb, "main", "sleep")
	if _, err := s.Runtime.CreateContainer(ctx, sb, s.containerConfig("main", "sleep"), s.sb); err == nil {
		s.Error("two containers have one name")
	}
	again := s.containerConfig("main", "sleep")
	again.Metadata.Attempt = 1
	_, err := s.Runtime.CreateContainer(ctx, sb, again, s.sb)
	s.must(err)
	s.must(s.Runtime.RemoveContainer(ctx, id))
	s.create(ctx, sb, "main", "sleep")
}

func exits(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	for name, want := range map[string]struct {
		code   int32
		reason string
	}{"0": {0, "Completed"}, "3": {3, "Error"}, "137": {137, "Error"}} {
		st := s.ended(ctx, s.start(ctx, sb, "exit-"+name, "exit", name))
		if st.GetExitCode() != want.code || st.GetReason() != want.reason || st.GetFinishedAt() == 0 {
			s.Errorf("exit %s: %v", name, st)
		}
	}
}

func startError(ctx context.Context, s *suite) {
	c := s.containerConfig("none")
	c.Command = []string{"/nothing"}
	id, err := s.Runtime.CreateContainer(ctx, s.sandbox(ctx), c, s.sb)
	s.must(err)
	if s.Runtime.StartContainer(ctx, id) == nil {
		s.Fatal("a program that is not there was started")
	}
	st := s.status(ctx, id)
	if st.GetState() != runtimeapi.ContainerState_CONTAINER_EXITED || st.GetExitCode() != 128 || st.GetReason() != "StartError" || st.GetMessage() == "" {
		s.Errorf("status after a failed start: %v", st)
	}
}

func stopKills(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "ignore")
	begin := time.Now()
	s.must(s.Runtime.StopContainer(ctx, id, 1))
	if took := time.Since(begin); took < time.Second {
		s.Errorf("killed after %s, before its timeout", took)
	}
	if st := s.status(ctx, id); st.GetExitCode() != 137 {
		s.Errorf("status of a killed container: %v", st)
	}
}

func stopShortens(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "ignore")
	first := make(chan error, 1)
	go func() { first <- s.Runtime.StopContainer(ctx, id, 3600) }()
	s.must(s.Runtime.StopContainer(ctx, id, 1))
	select {
	case err := <-first:
		s.must(err)
	case <-time.After(patience):
		s.Fatal("the longer stop goes on after the container was killed")
	}
	s.wantState(ctx, id, runtimeapi.ContainerState_CONTAINER_EXITED)
}

func stopNow(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "sleep")
	s.must(s.Runtime.StopContainer(ctx, id, 0))
	if st := s.status(ctx, id); st.GetExitCode() != 137 {
		s.Errorf("status of a killed container: %v", st)
	}
}

func removeRunning(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "ignore")
	s.must(s.Runtime.RemoveContainer(ctx, id))
	_, err := s.Runtime.ContainerStatus(ctx, id, false)
	s.wantCode(err, codes.NotFound, "status of a removed container")
}

func update(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	c := s.containerConfig("main", "sleep")
	c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuShares: 100, MemoryLimitInBytes: 64 << 20}
	id, err := s.Runtime.CreateContainer(ctx, sb, c, s.sb)
	s.must(err)
	s.must(s.Runtime.StartContainer(ctx, id))
	s.must(s.Runtime.UpdateContainerResources(ctx, id, &runtimeapi.ContainerResources{Linux: &runtimeapi.LinuxContainerResources{CpuShares: 200}}))
	got := s.status(ctx, id).GetResources().GetLinux()
	if got.GetCpuShares() != 200 || got.GetMemoryLimitInBytes() != 64<<20 {
		s.Errorf("resources after the update: %v", got)
	}
}
