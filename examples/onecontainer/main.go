// Command onecontainer runs containers from the blocks alone, without a pod: an
// image pulled from a registry on loopback, a root filesystem, namespaces on the
// built-in bridge, a cgroup, and a supervised process. It shows the log, the exit
// code, an OOM kill told apart, and a container that outlives a killed agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
)

func main() {
	root := flag.String("root", "/var/lib/lifepod-demo", "directory of images and logs")
	demo := flag.String("demo", ".cache/demo", "program to put into the image")
	agent := flag.Bool("agent", false, "start one container and wait to be killed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "onecontainer needs root: it makes namespaces, mounts and cgroups. Try: sudo onecontainer")
		os.Exit(1)
	}
	run := show
	if *agent {
		run = beAgent
	}
	if err := run(ctx, *root, *demo); err != nil {
		fmt.Fprintln(os.Stderr, "onecontainer:", err)
		os.Exit(1)
	}
}

// show runs all parts and undoes each.
func show(ctx context.Context, root, demo string) (err error) {
	b, err := open(ctx, root, demo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()

	st, err := b.runToEnd(ctx, "hello", "say", "hello from a container")
	if err != nil {
		return err
	}
	log, err := os.ReadFile(b.log("hello"))
	if err != nil {
		return err
	}
	fmt.Printf("exit code %d, log:\n  %s", st.ExitCode, log)

	if st, err = b.runToEnd(ctx, "crash", "crash"); err != nil {
		return err
	}
	fmt.Printf("a program that fails: exit code %d, OOM killed: %v\n", st.ExitCode, st.OOMKilled)

	if st, err = b.runToEnd(ctx, "hungry", "eat"); err != nil {
		return err
	}
	fmt.Printf("a program that eats memory: exit code %d, OOM killed: %v\n", st.ExitCode, st.OOMKilled)
	return killAgent(ctx, b, root, demo)
}

// killAgent lets another process start a container, kills that process, and
// takes the container up again.
func killAgent(ctx context.Context, b *blocks, root, demo string) error {
	out, err := os.Create(filepath.Join(root, "agent.out"))
	if err != nil {
		return err
	}
	defer out.Close()
	agent := exec.CommandContext(ctx, os.Args[0], "-agent", "-root", root, "-demo", demo)
	agent.Stdout, agent.Stderr = out, out
	if err := agent.Start(); err != nil {
		return err
	}
	if err := b.wait(ctx, "survivor", container.Running); err != nil {
		said, _ := os.ReadFile(out.Name())
		return errors.Join(fmt.Errorf("the agent said: %s", said), err, agent.Process.Kill(), agent.Wait())
	}
	if err := agent.Process.Kill(); err != nil {
		return err
	}
	_ = agent.Wait() // it was killed
	rt, err := runc.Open(b.options)
	if err != nil {
		return err
	}
	defer rt.Close()
	st, err := rt.State(ctx, "survivor")
	if err != nil {
		return err
	}
	fmt.Printf("its agent was killed, the container is %s\n", st.Status)
	if err := rt.Signal(ctx, "survivor", syscall.SIGTERM); err != nil {
		return err
	}
	if err := b.wait(ctx, "survivor", container.Stopped); err != nil {
		return err
	}
	if st, err = rt.State(ctx, "survivor"); err != nil {
		return err
	}
	fmt.Printf("stopped by the next agent: exit code %d\n", st.ExitCode)
	return b.remove(ctx, "survivor")
}

// beAgent is the process that is killed.
func beAgent(ctx context.Context, root, demo string) error {
	b, err := open(ctx, root, demo)
	if err != nil {
		return err
	}
	if err := b.start(ctx, "survivor", "work", "/tmp/heartbeat"); err != nil {
		return errors.Join(err, b.close(ctx))
	}
	time.Sleep(time.Hour)
	return nil
}
