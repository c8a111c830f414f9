package critest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	utilexec "k8s.io/utils/exec"
)

func execSync(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "sleep")
	out, _, err := s.Runtime.ExecSync(ctx, id, []string{s.Program, "echo", "hello"}, time.Minute)
	s.must(err)
	if string(out) != "hello\n" {
		s.Errorf("exec wrote %q", out)
	}
	_, errs, err := s.Runtime.ExecSync(ctx, id, []string{s.Program, "exit", "7"}, 0)
	var exit utilexec.CodeExitError
	if !errors.As(err, &exit) || exit.Code != 7 || string(errs) != "bye" {
		s.Errorf("exec of exit 7: %v, stderr %q", err, errs)
	}
	out, _, err = s.Runtime.ExecSync(ctx, id, []string{s.Program, "flood"}, 0)
	s.must(err)
	if len(out) != 16<<20 {
		s.Errorf("exec of 20 MiB of output gave %d bytes, want 16 MiB", len(out))
	}
	_, _, err = s.Runtime.ExecSync(ctx, id, []string{"/nothing"}, time.Minute)
	if err == nil {
		s.Error("exec of a program that is not there succeeded")
	}
	s.must(s.Runtime.StopContainer(ctx, id, 0))
	if _, _, err = s.Runtime.ExecSync(ctx, id, []string{s.Program, "echo"}, time.Minute); err == nil {
		s.Error("exec in a stopped container succeeded")
	}
}

func execTimeout(ctx context.Context, s *suite) {
	id := s.start(ctx, s.sandbox(ctx), "main", "sleep")
	_, _, err := s.Runtime.ExecSync(ctx, id, []string{s.Program, "sleep"}, time.Second)
	s.wantCode(err, codes.DeadlineExceeded, "exec beyond its timeout")
	s.wantState(ctx, id, runtimeapi.ContainerState_CONTAINER_RUNNING)
}

var logLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) stdout F hello\n$`)

func logs(ctx context.Context, s *suite) {
	if s.LogDir == "" {
		s.Skip("this runtime writes no logs that the suite can read")
	}
	st := s.ended(ctx, s.start(ctx, s.sandbox(ctx), "main", "echo", "hello"))
	if want := filepath.Join(s.LogDir, s.uid, "main/0.log"); st.GetLogPath() != want {
		s.Errorf("log path %q, want %q", st.GetLogPath(), want)
	}
	b, err := os.ReadFile(st.GetLogPath())
	s.must(err)
	if !logLine.Match(b) {
		s.Errorf("log is %q", b)
	}
	s.must(s.Runtime.RemoveContainer(ctx, st.GetId()))
	after, err := os.ReadFile(st.GetLogPath())
	s.must(err)
	if !bytes.Equal(b, after) {
		s.Error("the log changed when the container was removed")
	}
}

func events(ctx context.Context, s *suite) {
	if s.NoEvents {
		s.Skip("this runtime has no events")
	}
	ctx, cancel := context.WithCancel(ctx)
	ch, established, ended := make(chan *runtimeapi.ContainerEventResponse), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Runtime.GetContainerEvents(ctx, ch, func(runtimeapi.RuntimeService_GetContainerEventsClient) { close(established) })
	}()
	defer func() { cancel(); <-ended }()
	<-established
	ops := make(chan string, 1)
	go func() {
		defer close(ops)
		sb, err := s.Runtime.RunPodSandbox(ctx, s.config(0), "")
		if err != nil {
			s.Error(err)
			return
		}
		s.removeAtEnd(sb)
		id, err := s.Runtime.CreateContainer(ctx, sb, s.containerConfig("main", "sleep"), s.config(0))
		if err == nil {
			err = s.Runtime.StartContainer(ctx, id)
		}
		if err == nil {
			_, _, err = s.Runtime.ExecSync(ctx, id, []string{s.Program, "await"}, patience)
		}
		if err == nil {
			err = s.Runtime.StopContainer(ctx, id, 60)
		}
		if err != nil {
			s.Error(err)
		}
		ops <- id
	}()
	var id string
	got := map[string][]runtimeapi.ContainerEventType{}
	last := runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT
	for timeout := time.After(patience); id == "" || !slices.Contains(got[id], last); {
		select {
		case e := <-ch:
			got[e.GetContainerId()] = append(got[e.GetContainerId()], e.GetContainerEventType())
		case made, ok := <-ops:
			if !ok {
				ops = nil
				break
			}
			if id = made; id == "" {
				return
			}
		case <-timeout:
			s.Fatalf("of the container %q came the events %v only", id, got[id])
		}
	}
	want := []runtimeapi.ContainerEventType{
		runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT, last,
	}
	if !slices.Equal(slices.Compact(got[id]), want) {
		s.Errorf("events %v, want %v", got[id], want)
	}
}

func images(ctx context.Context, s *suite) {
	r, err := s.Images.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: s.Image}, false)
	s.must(err)
	if r.GetImage().GetId() == "" || r.GetImage().GetSize() == 0 {
		s.Errorf("status of the image: %v", r.GetImage())
	}
	all, err := s.Images.ListImages(ctx, nil)
	s.must(err)
	if !slices.ContainsFunc(all, func(i *runtimeapi.Image) bool { return i.GetId() == r.GetImage().GetId() }) {
		s.Error("the image is not in the list")
	}
	none := &runtimeapi.ImageSpec{Image: "localhost/suite/none:1"}
	r, err = s.Images.ImageStatus(ctx, none, false)
	s.must(err)
	if r.GetImage() != nil {
		s.Errorf("status of an unknown image: %v", r.GetImage())
	}
	s.must(s.Images.RemoveImage(ctx, none))
	c := s.containerConfig("main", "sleep")
	c.Image = none
	sb := s.sandbox(ctx)
	_, err = s.Runtime.CreateContainer(ctx, sb, c, s.sb)
	s.wantCode(err, codes.NotFound, "create from an unknown image")
	fs, err := s.Images.ImageFsInfo(ctx)
	s.must(err)
	if len(fs.GetImageFilesystems()) == 0 || fs.GetImageFilesystems()[0].GetFsId().GetMountpoint() == "" {
		s.Errorf("file systems: %v", fs)
	}
}

func versions(ctx context.Context, s *suite) {
	v, err := s.Runtime.Version(ctx, "v1")
	s.must(err)
	if v.GetVersion() == "" || v.GetRuntimeName() == "" || v.GetRuntimeVersion() == "" || v.GetRuntimeApiVersion() == "" {
		s.Errorf("version: %v", v)
	}
	st, err := s.Runtime.Status(ctx, false)
	s.must(err)
	for _, want := range []string{runtimeapi.RuntimeReady, runtimeapi.NetworkReady} {
		if !slices.ContainsFunc(st.GetStatus().GetConditions(), func(c *runtimeapi.RuntimeCondition) bool { return c.GetType() == want && c.GetStatus() }) {
			s.Errorf("condition %s is not true: %v", want, st.GetStatus().GetConditions())
		}
	}
}
