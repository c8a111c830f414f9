package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// SetUp makes all volumes of the pod ready, side by side, and returns them by
// name. When some fail the others are returned all the same; the error joins one
// [Error] for each, in the order of the spec. It may be called again: what is
// ready stays, content is brought up to date. A volume that fails leaves nothing
// behind that was not there before.
func (m *Manager) SetUp(ctx context.Context, r Request) (map[string]Mounted, error) {
	mounted := make([]Mounted, len(r.Pod.Spec.Volumes))
	err := m.each(r, func(i int, p Plugin, mt Mount) error {
		var err error
		mounted[i], err = p.SetUp(ctx, mt)
		return err
	})
	out := map[string]Mounted{}
	for _, v := range mounted {
		if v.Name != "" {
			out[v.Name] = v
		}
	}
	return out, err
}

// Update writes new content into the configMap, secret, downwardAPI and
// projected volumes of a pod that are set up, and names those that changed. A
// volume that fails keeps its content.
func (m *Manager) Update(ctx context.Context, r Request) (changed []string, err error) {
	names := make([]string, len(r.Pod.Spec.Volumes))
	err = m.each(r, func(i int, p Plugin, mt Mount) error {
		u, ok := p.(Updater)
		if !ok {
			return nil
		}
		was, err := u.Update(ctx, mt)
		if was {
			names[i] = mt.Volume.Name
		}
		return err
	})
	for _, n := range names {
		if n != "" {
			changed = append(changed, n)
		}
	}
	return changed, err
}

// each calls f for every volume of the pod at once and waits for all.
func (m *Manager) each(r Request, f func(i int, p Plugin, mt Mount) error) error {
	errs := make([]error, len(r.Pod.Spec.Volumes))
	var wg sync.WaitGroup
	for i := range r.Pod.Spec.Volumes {
		v := &r.Pod.Spec.Volumes[i]
		p := m.plugin(v)
		if p == nil {
			errs[i] = &Error{v.Name, errUnsupported(i, v)}
			continue
		}
		mt := Mount{Request: r, Volume: v, Path: volumePath(r.Dir, p, v.Name), Node: m.node}
		wg.Go(func() {
			if err := f(i, p, mt); err != nil {
				errs[i] = &Error{v.Name, err}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

const (
	volumesDir  = "volumes"
	pluginsDir  = "plugins"
	subPathsDir = "volume-subpaths"
)

func escape(plugin string) string { return strings.ReplaceAll(plugin, "/", "~") }

func volumePath(dir string, p Plugin, name string) string {
	return filepath.Join(dir, volumesDir, escape(p.Name()), name)
}

// TearDown takes away every volume and subPath under the pod's directory dir,
// the directories included; what else lies in dir stays. It unmounts what is
// mounted there and never deletes through a mount or a symbolic link: a mount
// that is busy is an error that names it, and TearDown may be called again. A
// pod without volumes, and an absent directory, are fine. The pod's containers
// must be dead.
func (m *Manager) TearDown(ctx context.Context, dir string) error {
	if err := clean(filepath.Join(dir, subPathsDir)); err != nil {
		return err // they hold the volumes
	}
	var errs []error
	for _, p := range m.plugins {
		for _, path := range entries(filepath.Join(dir, volumesDir, escape(p.Name()))) {
			if err := p.TearDown(ctx, path); err != nil {
				errs = append(errs, fmt.Errorf("tear down volume %q: %w", filepath.Base(path), err))
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	// With them goes what plugins of another time left.
	for _, sub := range []string{volumesDir, pluginsDir} {
		if err := clean(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

func entries(dir string) []string {
	list, _ := os.ReadDir(dir) // an absent one has none
	var out []string
	for _, e := range list {
		out = append(out, filepath.Join(dir, e.Name()))
	}
	return out
}

func errUnsupported(i int, v *corev1.Volume) error {
	for _, e := range refusedVolume(v, volumeField(i), true) {
		return e
	}
	return errors.New("no volume plugin matched")
}
