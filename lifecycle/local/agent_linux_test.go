package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// agentEnv makes the test's own program a process that runs a pod.
const agentEnv = "LOCAL_TEST_AGENT"

// agentTask is what such a process is to do.
type agentTask struct {
	Root, Run, Supervisor string
	Mirror                string // of the demo image
	Manifest              string // of a pod, or of several
	// Gate is made when all are ready; Traces get the line "ready" then.
	Gate   string
	Traces []string
	// Stay leaves the pods as they are when they are ready, and waits to be killed.
	Stay bool
	// Tick arms a timer when they are ready, again and again.
	Tick time.Duration
}

func (a agentTask) options() local.Options {
	o := local.Options{
		Root: a.Root, Run: a.Run, Supervisor: a.Supervisor, NodeName: "test-node", SupervisorIdle: 50 * time.Millisecond}
	o.Images.Client.Mirrors = map[string]string{demoHost: a.Mirror}
	return o
}

const demoHost = "demo.lifepod.example"

func TestMain(m *testing.M) {
	if task := os.Getenv(agentEnv); task != "" {
		if err := runAgent(task); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if prebuiltDir != "" {
		os.RemoveAll(prebuiltDir)
	}
	os.Exit(code)
}

// runAgent runs pods to Ready and to their end.
func runAgent(encoded string) error {
	var a agentTask
	if err := json.Unmarshal([]byte(encoded), &a); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if !a.Stay { // its timer would be one too many
		ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	}
	defer cancel()
	n, err := local.Open(a.options())
	if err != nil {
		return err
	}
	defer n.Close()
	handles, err := a.start(ctx, n)
	if err != nil {
		return err
	}
	if err := a.tellReady(); err != nil {
		return err
	}
	if a.Stay {
		a.stay()
	}
	for _, h := range handles {
		if err := h.Stop(ctx); err != nil {
			return err
		}
	}
	return n.Close()
}

// start runs the pods until they are ready.
func (a agentTask) start(ctx context.Context, n *local.Node) ([]*local.Handle, error) {
	pods, others, err := local.Decode([]byte(a.Manifest))
	if err != nil {
		return nil, err
	}
	if err := n.Apply(ctx, others...); err != nil {
		return nil, err
	}
	var handles []*local.Handle
	for _, pod := range pods {
		h, err := n.Run(ctx, pod)
		if err != nil {
			return nil, err
		}
		if err := awaitReady(ctx, h); err != nil {
			return nil, err
		}
		handles = append(handles, h)
	}
	return handles, nil
}

func (a agentTask) stay() {
	var tick <-chan time.Time
	if a.Tick > 0 {
		tick = time.NewTicker(a.Tick).C
	}
	for {
		<-tick
	}
}

func awaitReady(ctx context.Context, h *local.Handle) error {
	for st, err := range h.Status(ctx) {
		if err != nil {
			return fmt.Errorf("wait until it is ready: %w; status %+v", err, st)
		}
		if ready(st) {
			return nil
		}
	}
	return fmt.Errorf("it ended before it was ready")
}

func (a agentTask) tellReady() error {
	for _, file := range a.Traces {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString("ready\n")
		f.Close()
		if err != nil {
			return err
		}
	}
	if a.Gate == "" {
		return nil
	}
	return os.WriteFile(a.Gate, nil, 0o600)
}

// command is the process that does a, with more environment.
func (a agentTask) command(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, agentEnv+"="+string(b))...)
	return cmd
}

var prebuiltDir string

// prebuilt is the supervisor's own program.
var prebuilt = sync.OnceValues(func() (string, error) {
	if pre := os.Getenv("LIFEPOD_SUPERVISOR_PROGRAM"); pre != "" {
		return pre, nil
	}
	dir, err := os.MkdirTemp("", "supervisor")
	if err != nil {
		return "", err
	}
	prebuiltDir = dir
	out := filepath.Join(dir, "lifepod-supervisor")
	if msg, err := exec.Command("go", "build", "-o", out, "../../cmd/lifepod-supervisor").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(msg)))
	}
	return out, nil
})
