//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

func outputFlag(fs *flag.FlagSet, a *app) {
	fs.StringVar(&a.output, "output", "", "json: one JSON object a line, for programs")
}

func runFlags(fs *flag.FlagSet, a *app) {
	outputFlag(fs, a)
	fs.BoolVar(&a.detach, "detach", false, "return when the pod is Ready and leave its containers running")
	fs.StringVar(&a.waitFor, "wait", "ready", "what --detach waits for: ready or started")
	fs.StringVar(&a.until, "until", "", "ready: stop the pod when it has become Ready")
	fs.StringVar(&a.linger, "linger", "0s", "how long to let it run after --until")
}

// runPods runs all pods of a manifest to their end and exits with their outcome.
func runPods(ctx context.Context, a *app, args []string) error {
	file, err := one(args, "manifest")
	if err != nil {
		return err
	}
	linger, err := time.ParseDuration(a.linger)
	if err != nil {
		return fmt.Errorf("--linger: %w", err)
	}
	manifest, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pods, others, err := local.Decode(manifest)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(pods) == 0 {
		return fmt.Errorf("%s: it holds no pod", file)
	}
	if err := a.node.Apply(ctx, others...); err != nil {
		return err
	}
	out := &printer{json: a.output == "json"}
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		h, err := a.node.Run(ctx, p)
		if err != nil {
			errs[i] = err
			break
		}
		wg.Go(func() { errs[i] = a.see(ctx, h, out, linger) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// see shows a pod's life until its end, or until it can be left alone.
func (a *app) see(ctx context.Context, h *local.Handle, out *printer, linger time.Duration) error {
	shown, stopShowing := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopShowing()
	wg.Go(func() { out.events(shown, h) })
	last, err := a.watch(ctx, h, out)
	if err != nil && ctx.Err() == nil {
		return err
	}
	out.timeline(h)
	if a.detach && ctx.Err() == nil {
		out.say("pod %s is left running without an agent; on hold until podrun agent: %s", h.Pod().Name, strings.Join(h.OnHold(), ", "))
		return nil
	}
	if !ended(last) && ctx.Err() == nil {
		select {
		case <-time.After(linger):
		case <-ctx.Done():
		}
	}
	return a.end(ctx, h, out, last)
}

// watch prints each status until the pod has ended, is as far as was asked
// for, or ctx ends.
func (a *app) watch(ctx context.Context, h *local.Handle, out *printer) (last corev1.PodStatus, err error) {
	for st, err := range h.Status(ctx) {
		if err != nil {
			return last, err
		}
		out.status(h.Pod(), last, st)
		last = st
		if ended(st) || a.reached(st) {
			break
		}
	}
	return last, nil
}

func (a *app) reached(st corev1.PodStatus) bool {
	switch {
	case a.detach && a.waitFor == "started":
		return st.Phase == corev1.PodRunning
	case a.detach, a.until == "ready":
		return isReady(st)
	}
	return false
}

// end stops what still runs, waits until nothing is left, and turns the pod's
// outcome into an error.
func (a *app) end(ctx context.Context, h *local.Handle, out *printer, last corev1.PodStatus) error {
	if ctx.Err() != nil {
		out.say("stopping %s …", h.Pod().Name)
	}
	done := make(chan error, 1)
	go func() { done <- h.Stop(context.WithoutCancel(ctx)) }()
	for st, err := range h.Status(context.WithoutCancel(ctx)) {
		if err == nil {
			out.status(h.Pod(), last, st)
			last = st
		}
	}
	if err := <-done; err != nil {
		return err
	}
	out.say("pod %s is gone: %s", h.Pod().Name, outcome(last))
	if last.Phase != corev1.PodSucceeded {
		return exitCode(1)
	}
	return nil
}

func ended(s corev1.PodStatus) bool {
	return s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
}

func agent(ctx context.Context, a *app, _ []string) error { return a.node.Agent(ctx) }
