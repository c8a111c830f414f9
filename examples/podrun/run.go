//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
	"github.com/lifepod/lifepod/pod"
)

func outputFlag(fs *flag.FlagSet, a *app) {
	choice(fs, &a.output, "output", "", "json: one JSON object a line, for programs", "json")
}

func runFlags(fs *flag.FlagSet, a *app) {
	outputFlag(fs, a)
	fs.BoolVar(&a.detach, "detach", false, "return when the pod is Ready and leave its containers running")
	choice(fs, &a.waitFor, "wait", "ready", "what --detach waits for: ready, or started (all containers run)", "ready", "started")
	choice(fs, &a.until, "until", "", "ready: stop the pod when it has become Ready", "ready")
	fs.DurationVar(&a.linger, "linger", 0, "how long to let it run after --until")
}

// choice is a flag that takes one of some words.
func choice(fs *flag.FlagSet, to *string, name, initially, usage string, words ...string) {
	*to = initially
	fs.Func(name, usage, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("it is %s", strings.Join(words, " or "))
		}
		*to = s
		return nil
	})
}

// runPods runs all pods of a manifest to their end and exits with their outcome.
func runPods(ctx context.Context, a *app, args []string) error {
	pods, err := a.manifest(ctx, args)
	if err != nil {
		return err
	}
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	out := show.New(a.stdout(stopAll), show.Options{JSON: a.output == "json"})
	defer out.Close()
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		h, err := a.node.Run(ctx, p)
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", args[0], err)
			stopAll() // a manifest runs as a whole or not at all
			break
		}
		wg.Go(func() { errs[i] = a.see(ctx, h, out) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stdout is where the pods' life is shown. When nobody reads it any more, a run in
// the foreground ends.
func (a *app) stdout(lost func()) io.Writer {
	signal.Ignore(syscall.SIGPIPE)                        // the write fails instead
	if a.detach || term.IsTerminal(int(os.Stdout.Fd())) { //nolint:gosec // a descriptor
		return os.Stdout
	}
	return &pipe{os.Stdout, lost}
}

// pipe calls lost when its reader is gone.
type pipe struct {
	io.Writer
	lost func()
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.lost()
	}
	return n, err
}

// manifest reads the pods of a file, and keeps the objects beside them.
func (a *app) manifest(ctx context.Context, args []string) ([]*corev1.Pod, error) {
	pods, others, err := local.DecodeFile(args[0])
	var unread *os.PathError
	switch {
	case errors.As(err, &unread):
		return nil, fmt.Errorf("%w; podrun run takes a file of YAML or JSON", err)
	case err != nil:
		return nil, err
	case len(pods) == 0:
		return nil, fmt.Errorf("%s: it holds no pod to run; add a document of kind Pod", args[0])
	}
	if err := a.node.Apply(ctx, others...); err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return pods, nil
}

// see shows a pod's life until its end, or until it can be left alone.
func (a *app) see(ctx context.Context, h *local.Handle, out *show.Show) error {
	following, enough := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { out.Follow(following, h) })
	defer wg.Wait()
	defer enough()
	last, err := a.watch(ctx, h)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if a.detach && !ended(last) && ctx.Err() == nil {
		enough()
		wg.Wait() // it is the last word
		out.Say(h, "pod %s is left running without an agent%s", h.Pod().Name, onHold(h))
		return nil
	}
	if !ended(last) && ctx.Err() == nil {
		select {
		case <-time.After(a.linger):
		case <-ctx.Done():
		}
	}
	before := last
	if last, err = end(ctx, h, out, last); err != nil {
		return err
	}
	enough()
	wg.Wait()
	out.Say(h, "pod %s is gone: %s", h.Pod().Name, show.Outcome(context.WithoutCancel(ctx), h, before, last))
	if last.Phase != corev1.PodSucceeded {
		return exitCode(1)
	}
	return nil
}

// watch returns the first status with which the pod has ended or is as far as was
// asked for, or the last one when ctx ends.
func (a *app) watch(ctx context.Context, h *local.Handle) (last corev1.PodStatus, err error) {
	for st, err := range h.Status(ctx) {
		if err != nil {
			return last, err
		}
		if last = st; ended(st) || a.reached(st) {
			break
		}
	}
	return last, nil
}

func (a *app) reached(st corev1.PodStatus) bool {
	switch {
	case a.detach && a.waitFor == "started":
		return allRun(st)
	case a.detach, a.until == "ready":
		c := pod.Condition(&st, corev1.PodReady)
		return c != nil && c.Status == corev1.ConditionTrue
	}
	return false
}

func allRun(st corev1.PodStatus) bool {
	return len(st.ContainerStatuses) > 0 && !slices.ContainsFunc(st.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.State.Running == nil
	})
}

// end stops what still runs and waits until nothing is left. An interrupt while
// it does takes the grace away.
func end(ctx context.Context, h *local.Handle, out *show.Show, last corev1.PodStatus) (corev1.PodStatus, error) {
	if ctx.Err() != nil {
		out.Say(h, "stopping pod %s, for %d s at most; interrupt again to kill it", h.Pod().Name, *h.Pod().Spec.TerminationGracePeriodSeconds)
	}
	ctx = context.WithoutCancel(ctx)
	again, forget := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer forget()
	done := make(chan error, 2)
	go func() { done <- h.Stop(ctx) }()
	kill := context.AfterFunc(again, func() {
		zero := time.Duration(0)
		done <- h.StopWithin(ctx, &zero)
	})
	defer kill()
	for st, err := range h.Status(ctx) {
		if err == nil {
			last = st
		}
	}
	return last, <-done
}

// onHold says what nobody does for the pod any more.
func onHold(h *local.Handle) string {
	fields := h.OnHold()
	if len(fields) == 0 {
		return ""
	}
	return "; on hold until podrun agent: " + strings.Join(fields, ", ")
}

func ended(s corev1.PodStatus) bool {
	return s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
}
