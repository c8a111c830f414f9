package critest

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (s *suite) wantSandbox(ctx context.Context, id string, want runtimeapi.PodSandboxState) *runtimeapi.PodSandboxStatus {
	s.Helper()
	r, err := s.Runtime.PodSandboxStatus(ctx, id, false)
	s.must(err)
	if got := r.GetStatus().GetState(); got != want {
		s.Errorf("sandbox is %s, want %s", got, want)
	}
	return r.GetStatus()
}

func sandboxLife(ctx context.Context, s *suite) {
	id := s.sandbox(ctx)
	st := s.wantSandbox(ctx, id, runtimeapi.PodSandboxState_SANDBOX_READY)
	if st.GetMetadata().GetUid() != s.uid || st.GetLabels()["uid"] != s.uid || st.GetAnnotations()["note"] != "kept" || st.GetCreatedAt() == 0 {
		s.Errorf("status does not say what was run: %v", st)
	}
	if st.GetNetwork().GetIp() == "" {
		s.Error("a sandbox with a network of its own has no IP")
	}
	for range 2 { // stopping again is not an error
		s.must(s.Runtime.StopPodSandbox(ctx, id))
		s.wantSandbox(ctx, id, runtimeapi.PodSandboxState_SANDBOX_NOTREADY)
	}
	if _, err := s.Runtime.CreateContainer(ctx, id, s.containerConfig("late", "sleep"), s.sb); err == nil {
		s.Error("a container was created in a stopped sandbox")
	}
	for range 2 {
		s.must(s.Runtime.RemovePodSandbox(ctx, id))
	}
	_, err := s.Runtime.PodSandboxStatus(ctx, id, false)
	s.wantCode(err, codes.NotFound, "status of a removed sandbox")
}

func sandboxName(ctx context.Context, s *suite) {
	id := s.sandbox(ctx)
	if second, err := s.Runtime.RunPodSandbox(ctx, s.config(0), ""); err == nil {
		s.removeAtEnd(second)
		s.Error("two sandboxes have one name")
	}
	next, err := s.Runtime.RunPodSandbox(ctx, s.config(1), "")
	s.must(err)
	s.removeAtEnd(next)
	s.must(s.Runtime.RemovePodSandbox(ctx, id))
	s.sandbox(ctx) // the name is free again
}

func stopSandbox(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	a, b := s.start(ctx, sb, "a", "sleep"), s.start(ctx, sb, "b", "ignore")
	s.must(s.Runtime.StopPodSandbox(ctx, sb))
	s.wantState(ctx, a, runtimeapi.ContainerState_CONTAINER_EXITED)
	s.wantState(ctx, b, runtimeapi.ContainerState_CONTAINER_EXITED)
}

func removeSandbox(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	run, made := s.start(ctx, sb, "run", "sleep"), s.create(ctx, sb, "made", "sleep")
	s.must(s.Runtime.RemovePodSandbox(ctx, sb))
	for _, id := range []string{run, made} {
		_, err := s.Runtime.ContainerStatus(ctx, id, false)
		s.wantCode(err, codes.NotFound, "status of a container of a removed sandbox")
	}
}

func filters(ctx context.Context, s *suite) {
	sb := s.sandbox(ctx)
	run, made := s.start(ctx, sb, "run", "sleep"), s.create(ctx, sb, "made", "sleep")
	count := func(f *runtimeapi.ContainerFilter) int {
		cs, err := s.Runtime.ListContainers(ctx, f)
		s.must(err)
		return len(cs)
	}
	state := func(v runtimeapi.ContainerState) *runtimeapi.ContainerStateValue {
		return &runtimeapi.ContainerStateValue{State: v}
	}
	for what, c := range map[string]struct {
		f    *runtimeapi.ContainerFilter
		want int
	}{
		"sandbox":          {&runtimeapi.ContainerFilter{PodSandboxId: sb}, 2},
		"id":               {&runtimeapi.ContainerFilter{Id: run}, 1},
		"id and sandbox":   {&runtimeapi.ContainerFilter{Id: made, PodSandboxId: "0"}, 0},
		"state":            {&runtimeapi.ContainerFilter{PodSandboxId: sb, State: state(runtimeapi.ContainerState_CONTAINER_CREATED)}, 1},
		"label":            {&runtimeapi.ContainerFilter{PodSandboxId: sb, LabelSelector: map[string]string{"name": "run"}}, 1},
		"two labels":       {&runtimeapi.ContainerFilter{PodSandboxId: sb, LabelSelector: map[string]string{"name": "run", "no": "no"}}, 0},
		"state that is no": {&runtimeapi.ContainerFilter{PodSandboxId: sb, State: state(runtimeapi.ContainerState_CONTAINER_EXITED)}, 0},
	} {
		if got := count(c.f); got != c.want {
			s.Errorf("filter by %s: %d containers, want %d", what, got, c.want)
		}
	}
	sbs, err := s.Runtime.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{
		LabelSelector: map[string]string{"uid": s.uid}, State: &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY},
	})
	s.must(err)
	if len(sbs) != 1 || sbs[0].GetId() != sb {
		s.Errorf("sandboxes by label and state: %v", sbs)
	}
}

func unknown(ctx context.Context, s *suite) {
	for _, id := range []string{"", "no", "../../etc", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"} {
		s.must(s.Runtime.StopContainer(ctx, id, 1))
		s.must(s.Runtime.RemoveContainer(ctx, id))
		s.must(s.Runtime.StopPodSandbox(ctx, id))
		s.must(s.Runtime.RemovePodSandbox(ctx, id))
		_, err := s.Runtime.ContainerStatus(ctx, id, false)
		s.wantCode(err, codes.NotFound, "status of container "+id)
		s.wantCode(s.Runtime.StartContainer(ctx, id), codes.NotFound, "start of container "+id)
		_, err = s.Runtime.PodSandboxStatus(ctx, id, false)
		s.wantCode(err, codes.NotFound, "status of sandbox "+id)
		_, _, err = s.Runtime.ExecSync(ctx, id, []string{s.Program, "echo"}, 0)
		s.wantCode(err, codes.NotFound, "exec in container "+id)
		s.sb = s.config(0)
		_, err = s.Runtime.CreateContainer(ctx, id, s.containerConfig("c", "sleep"), s.sb)
		s.wantCode(err, codes.NotFound, "create in sandbox "+id)
	}
}
