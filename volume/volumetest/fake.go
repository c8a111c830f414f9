// Package volumetest has a fake of the pod volumes of a node, and the suites
// that managers and plugins pass.
package volumetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/volume"
)

// Volumes is what *volume.Manager does, and what Fake does in memory.
type Volumes interface {
	SetUp(ctx context.Context, r volume.Request) (map[string]volume.Mounted, error)
	Update(ctx context.Context, r volume.Request) (changed []string, err error)
	SubPath(ctx context.Context, r volume.SubPathRequest) (string, error)
	TearDown(ctx context.Context, dir string) error
}

// Fake keeps volumes in memory. The zero value works; it is safe for concurrent
// use.
type Fake struct {
	// Fail, when it is not nil, is asked before each volume is set up or
	// updated; an error of it is the volume's.
	Fail func(pod *corev1.Pod, volume string) error

	mu sync.Mutex
	// files by the path of their volume; a volume without content has none.
	files map[string]map[string]string
}

var _ Volumes = (*Fake)(nil)

// SetUp makes the volumes up that a Manager would make.
func (f *Fake) SetUp(ctx context.Context, r volume.Request) (map[string]volume.Mounted, error) {
	out := map[string]volume.Mounted{}
	var errs []error
	for i := range r.Pod.Spec.Volumes {
		v := &r.Pod.Spec.Volumes[i]
		m, err := f.setUp(ctx, r, v)
		if err != nil {
			errs = append(errs, &volume.Error{Volume: v.Name, Err: err})
			continue
		}
		out[v.Name] = m
	}
	return out, errors.Join(errs...)
}

func (f *Fake) setUp(ctx context.Context, r volume.Request, v *corev1.Volume) (volume.Mounted, error) {
	m := volume.Mounted{Name: v.Name, Path: path.Join(r.Dir, "volumes", v.Name)}
	if v.HostPath != nil {
		m.Path = v.HostPath.Path
	}
	files, content, err := f.content(ctx, r, v)
	if err != nil {
		return volume.Mounted{}, err
	}
	m.ReadOnly = content
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files == nil {
		f.files = map[string]map[string]string{}
	}
	f.files[m.Path] = files
	return m, nil
}

func (f *Fake) content(ctx context.Context, r volume.Request, v *corev1.Volume) (map[string]string, bool, error) {
	if f.Fail != nil {
		if err := f.Fail(r.Pod, v.Name); err != nil {
			return nil, false, err
		}
	}
	files, ok, err := volume.Content(ctx, volume.Mount{Request: r, Volume: v})
	if !ok || err != nil {
		return map[string]string{}, ok, err
	}
	out := map[string]string{}
	for p, file := range files {
		out[p] = string(file.Data)
	}
	return out, true, nil
}

// Update looks at the objects again.
func (f *Fake) Update(ctx context.Context, r volume.Request) (changed []string, err error) {
	var errs []error
	for i := range r.Pod.Spec.Volumes {
		v := &r.Pod.Spec.Volumes[i]
		files, content, err := f.content(ctx, r, v)
		if err != nil {
			errs = append(errs, &volume.Error{Volume: v.Name, Err: err})
		}
		if err != nil || !content {
			continue
		}
		f.mu.Lock()
		at := path.Join(r.Dir, "volumes", v.Name)
		if old, there := f.files[at]; there && !maps.Equal(old, files) {
			f.files[at] = files
			changed = append(changed, v.Name)
		}
		f.mu.Unlock()
	}
	return changed, errors.Join(errs...)
}

// SubPath names a part of a volume that was set up.
func (f *Fake) SubPath(_ context.Context, r volume.SubPathRequest) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.files[r.Volume.Path]; !there {
		return "", &subPathError{fmt.Sprintf("failed to prepare subPath for volumeMount %q of container %q", r.Volume.Name, r.Container)}
	}
	return path.Join(r.Dir, "volume-subpaths", r.Volume.Name, r.Container, strconv.Itoa(r.Index)), nil
}

// TearDown forgets the volumes of a pod.
func (f *Fake) TearDown(_ context.Context, dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.files, func(at string, _ map[string]string) bool { return strings.HasPrefix(at, dir+"/") })
	return nil
}

// Files is the content of the volume at path, nil when there is none.
func (f *Fake) Files(path string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.files[path])
}

type subPathError struct{ text string }

func (e *subPathError) Error() string { return e.text }

// Reason is what *volume.SubPathError gives.
func (e *subPathError) Reason() string { return "CreateContainerConfigError" }
