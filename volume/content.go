package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/volume/atomicwriter"
)

// content is the plugin of the volumes that hold files made from objects. They
// differ in what they hold and in whether it may touch a disk.
type content struct {
	name     string
	supports func(v *corev1.Volume) bool
	data     func(ctx context.Context, m Mount) (payload, error)
	// memory keeps the files off the disk.
	memory bool
}

var (
	_ Plugin  = content{}
	_ Updater = content{}
)

var configMapPlugin = content{
	name:     "kubernetes.io/configmap",
	supports: func(v *corev1.Volume) bool { return v.ConfigMap != nil },
	data: func(ctx context.Context, m Mount) (payload, error) {
		v := m.Volume.ConfigMap
		return m.configMapData(ctx, source{v.Name, v.Items, v.DefaultMode, v.Optional})
	},
}

var secretPlugin = content{
	name:     "kubernetes.io/secret",
	supports: func(v *corev1.Volume) bool { return v.Secret != nil },
	data: func(ctx context.Context, m Mount) (payload, error) {
		v := m.Volume.Secret
		return m.secretData(ctx, source{v.SecretName, v.Items, v.DefaultMode, v.Optional})
	},
	memory: true,
}

var downwardPlugin = content{
	name:     "kubernetes.io/downward-api",
	supports: func(v *corev1.Volume) bool { return v.DownwardAPI != nil },
	data: func(_ context.Context, m Mount) (payload, error) {
		return m.downwardData(m.Volume.DownwardAPI.Items, m.Volume.DownwardAPI.DefaultMode)
	},
	memory: true,
}

var projectedPlugin = content{
	name:     "kubernetes.io/projected",
	supports: func(v *corev1.Volume) bool { return v.Projected != nil },
	data:     func(ctx context.Context, m Mount) (payload, error) { return m.projectedData(ctx) },
	memory:   true,
}

func (c content) Name() string { return c.name }

func (c content) Supports(v *corev1.Volume) bool { return c.supports(v) }

func (c content) SetUp(ctx context.Context, m Mount) (Mounted, error) {
	data, err := c.data(ctx, m)
	if err != nil {
		return Mounted{}, err
	}
	_, err = os.Lstat(m.Path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := c.publish(m, data); err != nil {
		if fresh {
			err = errors.Join(err, clean(m.Path))
		}
		return Mounted{}, err
	}
	return Mounted{Name: m.Volume.Name, Path: m.Path, ReadOnly: true}, nil
}

func (c content) publish(m Mount, data payload) error {
	if err := makeDir(m.Path); err != nil {
		return err
	}
	if c.memory {
		if err := mountTmpfs(m.Path, memorySize(m, nil)); err != nil {
			return err
		}
	}
	if err := makeNested(m); err != nil {
		return err
	}
	_, err := c.write(m, data)
	return err
}

func (c content) write(m Mount, data payload) (bool, error) {
	group := fsGroup(m.Pod)
	if group == nil {
		return atomicwriter.Write(m.Path, data, nil)
	}
	return atomicwriter.Write(m.Path, data, func() error { return giveToGroup(m.Path, *group, true) })
}

// Update writes new content into a volume that is set up; one that is not is
// left to SetUp.
func (c content) Update(ctx context.Context, m Mount) (bool, error) {
	if _, err := os.Lstat(filepath.Join(m.Path, "..data")); err != nil {
		return false, nil //nolint:nilerr // an absent one is the answer
	}
	data, err := c.data(ctx, m)
	if err != nil {
		return false, err
	}
	return c.write(m, data)
}

func (c content) TearDown(_ context.Context, path string) error { return clean(path) }

// makeDir makes the volume's directory with the mode that containers see. One
// that is there keeps its further bits: fsGroup set them.
func makeDir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() == 0o777 {
		return err
	}
	return os.Chmod(path, 0o777)
}
