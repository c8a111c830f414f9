package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

// aPod is a pod whose hook leaves a trace in DIR.
const aPod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 300
  activeDeadlineSeconds: 3000
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    args: [work, /tmp/beat]
    lifecycle: {preStop: {exec: {command: HOOK}}}
    livenessProbe: {exec: {command: [/demo, check, /tmp/beat]}, initialDelaySeconds: 1}
    volumeMounts: [{name: tmp, mountPath: /tmp}, {name: trace, mountPath: /trace}]
  volumes: [{name: tmp, emptyDir: {}}, {name: trace, hostPath: {path: DIR}}]
`

func (s *shop) pod(t *testing.T, name, hook string) string {
	t.Helper()
	return s.file(t, name+".yaml", strings.NewReplacer("NAME", name, "HOOK", hook, "DIR", s.dir).Replace(aPod))
}

const leaveTrace = "[/demo, touch, /trace/stopped]"

// Ctrl-C while the live screen draws ends the pod gracefully, and leaves the
// terminal as it was.
func TestInterrupt(t *testing.T) {
	s := open(t)
	file := s.pod(t, "web", leaveTrace)
	tm := openTerminal(t, 100, 30)
	before, err := term.GetState(int(tm.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(t, "run", file)
	tm.run(t, cmd)
	tm.out.await(t, "Container started")
	tm.press(t, ctrlC)
	ends(t, cmd, 0, &tm.out)
	tm.out.await(t, "pod web is gone: Succeeded")
	after, err := term.GetState(int(tm.tty.Fd()))
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal's modes were %+v and are %+v, %v", before, after, err)
	}
	text := tm.out.String()
	if strings.LastIndex(text, "\x1b[?7l") > strings.LastIndex(text, "\x1b[?7h") || !strings.HasSuffix(text, "\n") {
		t.Errorf("the terminal is left in the middle of something: %q", text[max(0, len(text)-200):])
	}
	if _, err := os.Stat(filepath.Join(s.dir, "stopped")); err != nil {
		t.Errorf("the preStop hook did not run: %v", err)
	}
}

// A terminal that closes, and output that nobody reads, end a run like Ctrl-C.
func TestNobodyLooks(t *testing.T) {
	// Where the tests themselves run under nohup, podrun would heed that: what has a
	// handler here is at its default there.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for name, leave := range map[string]func(*exec.Cmd, *os.File) error{
		"SIGHUP":      func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(syscall.SIGHUP) },
		"closed pipe": func(_ *exec.Cmd, out *os.File) error { return out.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			cmd := s.command(t, "run", s.pod(t, "web", leaveTrace))
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			errs := &output{}
			cmd.Stderr = errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewScanner(out)
			for in.Scan() && !strings.Contains(in.Text(), "Container started") {
			}
			if err := leave(cmd, out.(*os.File)); err != nil {
				t.Fatal(err)
			}
			if name == "closed pipe" {
				// Something to tell, unless podrun told something before and stops the pod.
				s.do(t, "exec", "web", "--", "/demo", "end")
			}
			for in.Scan() { // to the end
			}
			ends(t, cmd, 0, errs)
			if _, err := os.Stat(filepath.Join(s.dir, "stopped")); name == "SIGHUP" && err != nil {
				t.Errorf("the preStop hook did not run: %v", err)
			}
			if _, out, _ := s.do(t, "ps"); out != "" {
				t.Errorf("ps shows\n%s", out)
			}
		})
	}
}

// A second Ctrl-C kills a pod that does not heed its stop signal, and whose hook
// has five minutes.
func TestInterruptTwice(t *testing.T) {
	s := open(t)
	file := s.pod(t, "web", "[/demo, work, /trace/stopping]")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	file = s.file(t, "deaf.yaml", strings.Replace(string(text), "args: [work, /tmp/beat]", "args: [cat]\n    stdin: true", 1))
	tm := openTerminal(t, 100, 30)
	cmd := s.command(t, "run", file)
	tm.run(t, cmd)
	tm.out.await(t, "Container started")
	tm.press(t, ctrlC)
	tm.out.await(t, "interrupt again to kill it")
	waitFor(t, "the hook to run", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "stopping"))
		return err == nil
	})
	tm.press(t, ctrlC)
	ends(t, cmd, 1, &tm.out)
	tm.out.await(t, "pod web is gone: Failed, main exited with 137")
}

// A pod's way through all the subcommands: left alone, looked at, driven again,
// stopped from elsewhere.
func TestDetachedPod(t *testing.T) {
	s := open(t)
	code, out, errs := s.do(t, "run", s.pod(t, "web", leaveTrace), "--detach", "--wait=started")
	want := "pod web is left running without an agent; on hold until podrun agent: " +
		"main.livenessProbe, spec.activeDeadlineSeconds, spec.restartPolicy Always\n"
	if code != 0 || !strings.HasSuffix(out, want) {
		t.Fatalf("it ended with %d: %s%s\nwant at the end: %s", code, out, errs, want)
	}
	_, out, _ = s.do(t, "ps")
	if !regexp.MustCompile(`(?m)^default +web +Running .* undriven since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d +main$`).MatchString(out) {
		t.Errorf("ps shows\n%s", out)
	}
	_, out, _ = s.do(t, "describe", "web")
	if !regexp.MustCompile(`(?m)^Driven: +no: undriven since `).MatchString(out) || !strings.Contains(out, "\nConditions (last known ") {
		t.Errorf("describe shows\n%s", out)
	}
	t.Run("exec", func(t *testing.T) { s.checkExec(t) })
	if code, _, errs := s.do(t, "exec", "web", "--", "/demo", "end"); code != 0 && code != 137 { // it may go with the container
		t.Errorf("end the container: %d %s", code, errs)
	}
	waitFor(t, "ps to show that nothing runs", func() bool {
		_, out, _ := s.do(t, "ps", "--output", "json")
		var p local.PodInfo
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return p.Containers[len(p.Containers)-1].State == "exited" && !p.Driven
	})
	agent, log := s.background(t, "agent")
	log.await(t, `msg="Container started"`) // once more
	log.await(t, `msg="driving the pod" pod=default/web`)
	log.await(t, `msg="container ended" pod=default/web container=main exitCode=`)
	other, waits := s.background(t, "agent")
	waits.await(t, `msg="another process drives the pod, waiting for it to let go" pod=default/web`)
	if err := other.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(t, other, 0, waits)
	if _, out, _ := s.do(t, "ps"); !regexp.MustCompile(`web +Running .* yes +main\n`).MatchString(out) {
		t.Errorf("ps shows\n%s", out)
	}
	if code, _, errs := s.do(t, "stop", "web"); code != 0 {
		t.Errorf("stop ended with %d: %s", code, errs)
	}
	log.await(t, `msg="nothing is left of the pod" pod=default/web`)
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(t, agent, 0, log)
	if _, err := os.Stat(filepath.Join(s.dir, "stopped")); err != nil {
		t.Errorf("the preStop hook did not run: %v", err)
	}
}

func (s *shop) checkExec(t *testing.T) {
	if code, _, errs := s.do(t, "exec", "web", "--", "/demo", "status", "7"); code != 7 {
		t.Errorf("a command that ends with 7: %d %s", code, errs)
	}
	if code, out, _ := s.do(t, "exec", "-c", "main", "web", "--", "/demo", "say", "--root"); code != 0 || out != "--root\n" {
		t.Errorf("after -- there are no flags: %d %q", code, out)
	}
	code, _, errs := s.do(t, "exec", "web", "--", "/nope")
	if want := `podrun: exec in container "main" in pod "web": exec: "/nope": stat /nope: no such file or directory` + "\n"; code != 1 || errs != want {
		t.Errorf("a program that is not there: %d %s, want %s", code, errs, want)
	}
	cmd := s.command(t, "exec", "-i", "web", "--", "/demo", "cat")
	cmd.Stdin = strings.NewReader("hi\n")
	if code, out, errs := result(t, cmd); code != 0 || out != "hi\n" {
		t.Errorf("cat: %d %q %s", code, out, errs)
	}
	tm := openTerminal(t, 80, 24)
	before, err := term.GetState(int(tm.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	cmd = s.command(t, "exec", "-it", "web", "--", "/demo", "size")
	tm.run(t, cmd)
	tm.out.await(t, "80x24")
	tm.size(t, 100, 30)
	tm.out.await(t, "100x30")
	tm.press(t, ctrlC) // goes to the command, not to podrun
	ends(t, cmd, 0, &tm.out)
	if after, err := term.GetState(int(tm.tty.Fd())); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal's modes were %+v and are %+v, %v", before, after, err)
	}
}

// The web pod is left alone, and everything but its containers and the supervisor
// killed: what looks, drives and ends it goes on to work.
func TestWebPodAfterKills(t *testing.T) {
	s := open(t)
	if code, out, errs := s.do(t, "run", "--detach", "../pods/web.yaml"); code != 0 || !strings.Contains(out, "Condition Ready: True") {
		t.Fatalf("run --detach: %d\n%s%s", code, out, errs)
	}
	agent, log := s.background(t, "agent")
	follower, followed := s.background(t, "logs", "-f", "web", "-c", "web")
	within, _ := s.background(t, "exec", "web", "-c", "web", "--", "/demo", "work", "/cache/exec")
	log.await(t, "driving the pod")
	followed.await(t, "serving /shared")
	for _, cmd := range []*exec.Cmd{agent, follower, within} {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it says that it was killed
	}
	_, out, _ := s.do(t, "ps")
	if !regexp.MustCompile(`web +Running +3/3 .* undriven since .* health,web,worker\n`).MatchString(out) {
		t.Errorf("ps shows\n%s", out)
	}
	if code, _, errs := s.do(t, "exec", "web", "-c", "web", "--", "/demo", "status", "5"); code != 5 {
		t.Errorf("exec: %d %s", code, errs)
	}
	follower, followed = s.background(t, "logs", "-f", "web", "-c", "web")
	followed.await(t, "serving /shared")
	agent, log = s.background(t, "agent")
	log.await(t, "driving the pod")
	if code, _, errs := s.do(t, "stop", "web"); code != 0 {
		t.Errorf("stop: %d %s", code, errs)
	}
	log.await(t, "nothing is left of the pod")
	ends(t, follower, 0, followed)
	followed.await(t, "web stops")
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(t, agent, 0, log)
}

// stop in another shell ends a pod that run has in the foreground; its lines of
// JSON are all of the format.
func TestStopFromElsewhere(t *testing.T) {
	s := open(t)
	file := s.pod(t, "web", leaveTrace)
	cmd, out := s.command(t, "run", "--output", "json", file), &output{}
	cmd.Stdout = out // alone: that the disk is nearly full, say, is logged elsewhere
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "Container started")
	code, _, errs := s.do(t, "run", file)
	if want := `pods "web" already exists under the root ` + s.root + ": podrun agent drives it, podrun stop ends it\n"; code != 1 || !strings.HasSuffix(errs, want) {
		t.Errorf("the same pod again: %d %s", code, errs)
	}
	if code, _, errs := s.do(t, "stop", "web", "--grace", "20s"); code != 0 {
		t.Errorf("stop ended with %d: %s", code, errs)
	}
	ends(t, cmd, 0, out)
	seen := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		in := json.NewDecoder(strings.NewReader(line))
		in.DisallowUnknownFields()
		var r show.Record
		if err := in.Decode(&r); err != nil || r.Pod.Name != "web" || in.More() {
			t.Fatalf("line %q: %v", line, err)
		}
		seen[r.Type] = true
	}
	if !seen["status"] || !seen["event"] || !seen["timeline"] || !seen["message"] {
		t.Errorf("it wrote records of the types %v", seen)
	}
}

// What a container says of itself moves no cursor.
func TestControlCharacters(t *testing.T) {
	s := open(t)
	file := s.file(t, "rude.yaml", `
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {last: "\e[2Jgone\a\u009b1mbold\nEvents: forged"}
---
apiVersion: v1
kind: Pod
metadata: {name: rude}
spec:
  restartPolicy: Never
  containers:
  - {name: says, image: demo.lifepod.example/demo:v1, args: [prepare, /words/last, /dev/termination-log], volumeMounts: [{name: words, mountPath: /words}]}
  - {name: stays, image: demo.lifepod.example/demo:v1, args: [work, /tmp/x], volumeMounts: [{name: tmp, mountPath: /tmp}]}
  volumes: [{name: words, configMap: {name: words}}, {name: tmp, emptyDir: {}}]
`)
	cmd, out := s.background(t, "run", file)
	out.await(t, "Container says: Terminated")
	out.await(t, "Container stays: Running")
	_, described, _ := s.do(t, "describe", "rude")
	if want := "^[[2Jgone^G?1mbold Events: forged\n"; !strings.Contains(described, want) {
		t.Errorf("describe shows no %q in\n%s", want, described)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ends(t, cmd, 0, out)
	for name, text := range map[string]string{"describe": described, "run": out.String()} {
		if strings.ContainsAny(text, "\x1b\a\u009b") {
			t.Errorf("%s writes control characters:\n%q", name, text)
		}
	}
}

// The last line says why a pod failed, or why it never ran.
func TestOutcome(t *testing.T) {
	s := open(t)
	missing := s.file(t, "missing.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: missing}\nspec: {containers: [{name: main, image: 'demo.lifepod.example/nope:v1'}]}\n")
	cmd, out := s.background(t, "run", missing)
	out.await(t, "ImagePullBackOff")
	code, _, errs := s.do(t, "logs", "missing")
	if want := "container \"main\" in pod \"missing\" is waiting to start: trying and failing to pull image\n"; code != 1 || !strings.HasSuffix(errs, want) {
		t.Errorf("logs: %d %s", code, errs)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ends(t, cmd, 1, out)
	if !regexp.MustCompile(`pod missing is gone: Failed, main did not run \(ImagePullBackOff: .*MANIFEST_UNKNOWN.*\)\n$`).MatchString(out.String()) {
		t.Errorf("it wrote\n%s", out)
	}
	if want := `(ErrImagePull: pull demo.lifepod.example/nope:v1: GET `; !strings.Contains(out.String(), want) {
		t.Errorf("it wrote\n%s\nwithout %s", out, want)
	}
	crash := s.file(t, "crash.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: crash}\nspec: {restartPolicy: Never, containers: [{name: main, image: 'demo.lifepod.example/demo:v1', args: [status, '3']}]}\n")
	if code, out, _ := s.do(t, "run", crash); code != 1 || !strings.HasSuffix(out, "pod crash is gone: Failed, main exited with 3 (Error)\n") {
		t.Errorf("a pod that fails: %d\n%s", code, out)
	}
}

// A port that is taken is in the last line, too, though no container waits for it.
func TestPortTaken(t *testing.T) {
	s := open(t)
	taken, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	file := s.file(t, "port.yaml", fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: main, image: 'demo.lifepod.example/demo:v1', ports: [{containerPort: 80, hostPort: %d}]}]}\n", port))
	cmd, out := s.background(t, "run", file)
	out.await(t, "Warning FailedCreatePodSandBox: ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ends(t, cmd, 1, out)
	want := fmt.Sprintf(`pod web is gone: Failed, main did not run \(ContainerCreating\); FailedCreatePodSandBox: .*host port %d/tcp .* is taken: a program listens on it; stop it or use another port\n$`, port)
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("it wrote\n%s\nwant at the end %s", out, want)
	}
}

// killed half-way, a pod is there, and another process ends it.
func TestKilled(t *testing.T) {
	s := open(t)
	file := s.pod(t, "web", leaveTrace)
	cmd, out := s.background(t, "run", file)
	out.await(t, "Container started")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if _, out, _ := s.do(t, "ps"); !strings.Contains(out, "undriven since ") {
		t.Errorf("ps shows\n%s", out)
	}
	if code, _, errs := s.do(t, "rm", "web"); code != 1 || !strings.Contains(errs, "pod web has not ended: ") {
		t.Errorf("rm: %d %s", code, errs)
	}
	if code, _, errs := s.do(t, "rm", "--force", "web"); code != 0 {
		t.Errorf("rm --force: %d %s", code, errs)
	}
	if code, out, errs := s.do(t, "ps"); code != 0 || out != "" || errs != "no pods under the root "+s.root+"\n" {
		t.Errorf("ps: %d %q %q", code, out, errs)
	}
}
