package local_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/internal/testutil"
)

// minWait is the shortest timer that may be armed while nothing happens.
const minWait = 30 * time.Second

// An agent and a supervisor with 20 pods at rest, without probes, have no timer
// armed that is shorter than 30 s.
func TestNoShortTimerAtRest(t *testing.T) {
	whileIdle(t, 20, 0, func(agent, supervisor int) {
		for name, pid := range map[string]int{"agent": agent, "supervisor": supervisor} {
			settle(t, name, pid, func(short []string) bool { return len(short) == 0 })
		}
	})
}

// The check itself: every look at an agent that has armed a timer of 10 s, and is
// at rest but for that, finds it.
func TestShortTimerIsFound(t *testing.T) {
	whileIdle(t, 1, 10*time.Second, func(agent, _ int) {
		settle(t, "agent", agent, func(short []string) bool {
			if len(short) == 0 {
				t.Fatal("it went unnoticed")
			}
			return !strings.Contains(strings.Join(short, "\n"), "waits 0s in")
		})
	})
}

// settle looks at a process until five looks in a row find it as it should be: a
// start leaves things to be tidied, by the Go runtime too.
func settle(t *testing.T, name string, pid int, as func(short []string) bool) {
	t.Helper()
	var short []string
	row := 0
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		var err error
		if short, err = testutil.ShortWaits(pid, minWait); err != nil {
			t.Fatal(err)
		}
		row++
		if !as(short) {
			row = 0
		}
		if row == 5 {
			return
		}
	}
	t.Errorf("%s never comes to rest: %s", name, strings.Join(short, ", "))
}

// whileIdle has an agent, in a process of its own, run pods until they are ready
// and then do nothing, but for a timer if tick is not 0.
func whileIdle(t *testing.T, pods int, tick time.Duration, do func(agent, supervisor int)) {
	t.Helper()
	o := options(t)
	program, err := prebuilt()
	if err != nil {
		t.Fatal(err)
	}
	a := agentTask{
		Root: o.Root, Run: o.Run, Supervisor: program, Mirror: o.Images.Client.Mirrors[demoHost],
		Traces: []string{"/dev/stdout"}, Stay: true, Tick: tick,
	}
	for i := range pods {
		a.Manifest += "---" + strings.ReplaceAll(one("Always", `[health, ":9090"]`), "name: one", fmt.Sprint("name: idle-", i))
	}
	cmd := a.command(t)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		n := open(t, o)
		defer n.Close()
		for i := range pods {
			if err := n.Stop(soon(t), fmt.Sprint("idle-", i), nil); err != nil {
				t.Error(err)
			}
		}
	}()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		_ = cmd.Wait()
		t.Fatalf("the agent's pods did not become ready: %s\n%s", line, &said)
	}
	text, err := os.ReadFile(filepath.Join(o.Run, "supervisor.alive"))
	if err != nil {
		t.Fatal(err)
	}
	supervisor, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	do(cmd.Process.Pid, supervisor)
}
