package critest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Env is one runtime under test.
type Env struct {
	Runtime criapi.RuntimeService
	Images  criapi.ImageManagerService
	// Image is the reference of an image that is there, with the suite's program
	// at Program.
	Image, Program string
	// CgroupParent is of all sandboxes.
	CgroupParent string
	// LogDir is a directory for logs. Empty leaves logs untested.
	LogDir string
	// NoEvents is for a runtime without GetContainerEvents.
	NoEvents bool
}

// patience bounds what should happen at once.
const patience = 20 * time.Second

// Run tests the runtimes that open makes, one for each case. What open makes it
// must also take away, by t.Cleanup; the suite removes its sandboxes before.
func Run(t *testing.T, open func(t *testing.T) Env) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			c.test(ctx, &suite{T: t, Env: open(t), uid: rand.Text()})
		})
	}
}

var cases = []struct {
	name string
	test func(context.Context, *suite)
}{
	{"a sandbox from run to removed", sandboxLife},
	{"a sandbox's name is taken while it exists", sandboxName},
	{"a container from created to removed", containerLife},
	{"a container's name is taken while it exists", containerName},
	{"exit codes and reasons", exits},
	{"a program that is not there", startError},
	{"stop kills after the timeout", stopKills},
	{"a shorter stop shortens", stopShortens},
	{"stop with no timeout kills", stopNow},
	{"removing a running container kills it", removeRunning},
	{"stopping a sandbox stops its containers", stopSandbox},
	{"removing a sandbox removes its containers", removeSandbox},
	{"unknown ids", unknown},
	{"exec", execSync},
	{"exec is killed by its timeout", execTimeout},
	{"lists filter", filters},
	{"resources can be changed", update},
	{"logs", logs},
	{"events", events},
	{"images", images},
	{"versions and conditions", versions},
}

type suite struct {
	*testing.T
	Env
	uid string
	sb  *runtimeapi.PodSandboxConfig
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) wantCode(err error, want codes.Code, what string) {
	s.Helper()
	if got := status.Code(err); got != want {
		s.Errorf("%s: code %s (%v), want %s", what, got, err, want)
	}
}

// config is a pod's; attempt tells several of one pod apart.
func (s *suite) config(attempt uint32) *runtimeapi.PodSandboxConfig {
	c := &runtimeapi.PodSandboxConfig{
		Metadata:    &runtimeapi.PodSandboxMetadata{Name: "pod", Namespace: "suite", Uid: s.uid, Attempt: attempt},
		Hostname:    "pod-host",
		DnsConfig:   &runtimeapi.DNSConfig{Servers: []string{"192.0.2.53"}, Searches: []string{"suite.test"}, Options: []string{"ndots:5"}},
		Labels:      map[string]string{"uid": s.uid},
		Annotations: map[string]string{"note": "kept"},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: s.CgroupParent,
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			},
		},
	}
	if s.LogDir != "" {
		c.LogDirectory = filepath.Join(s.LogDir, s.uid)
	}
	return c
}

// sandbox runs one, to be removed at the end of the case.
func (s *suite) sandbox(ctx context.Context) string {
	s.Helper()
	if s.sb == nil {
		s.sb = s.config(0)
	}
	id, err := s.Runtime.RunPodSandbox(ctx, s.sb, "")
	s.must(err)
	s.removeAtEnd(id)
	return id
}

func (s *suite) removeAtEnd(id string) {
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Runtime.RemovePodSandbox(ctx, id); err != nil {
			s.Errorf("remove the sandbox at the end: %v", err)
		}
	})
}

// containerConfig runs the program with words.
func (s *suite) containerConfig(name string, words ...string) *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name},
		Image:    &runtimeapi.ImageSpec{Image: s.Image},
		Command:  append([]string{s.Program}, words...),
		LogPath:  name + "/0.log",
		Labels:   map[string]string{"name": name},
		Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
		}},
	}
}

func (s *suite) create(ctx context.Context, sandbox, name string, words ...string) string {
	s.Helper()
	id, err := s.Runtime.CreateContainer(ctx, sandbox, s.containerConfig(name, words...), s.sb)
	s.must(err)
	return id
}

func (s *suite) start(ctx context.Context, sandbox, name string, words ...string) string {
	s.Helper()
	id := s.create(ctx, sandbox, name, words...)
	s.must(s.Runtime.StartContainer(ctx, id))
	if words[0] == "sleep" || words[0] == "ignore" {
		s.await(ctx, id)
	}
	return id
}

// await waits until the program handles signals: the first process of a PID
// namespace does not get those that it does not handle.
func (s *suite) await(ctx context.Context, id string) {
	s.Helper()
	_, _, err := s.Runtime.ExecSync(ctx, id, []string{s.Program, "await"}, patience)
	s.must(err)
}

func (s *suite) status(ctx context.Context, id string) *runtimeapi.ContainerStatus {
	s.Helper()
	r, err := s.Runtime.ContainerStatus(ctx, id, false)
	s.must(err)
	return r.GetStatus()
}

func (s *suite) wantState(ctx context.Context, id string, want runtimeapi.ContainerState) {
	s.Helper()
	if got := s.status(ctx, id).GetState(); got != want {
		s.Errorf("container is in state %s, want %s", got, want)
	}
}

// ended waits for the end of a container that ends by itself.
func (s *suite) ended(ctx context.Context, id string) *runtimeapi.ContainerStatus {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		st := s.status(ctx, id)
		if st.GetState() == runtimeapi.ContainerState_CONTAINER_EXITED {
			return st
		}
		if time.Now().After(end) {
			s.Fatalf("the container has not ended: %v", st)
		}
	}
}
