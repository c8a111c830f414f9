package volume_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

// podDir is a pod's directory; what it still holds at the end is taken away.
func podDir(t testing.TB, m *volume.Manager) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := m.TearDown(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// root prepares a test with effects on the kernel.
func root(t testing.TB) {
	t.Helper()
	testutil.RequireRoot(t)
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{filepath.Dir(t.TempDir())}})
}

// read is what a container sees in a volume.
func read(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(rel string)
	walk = func(rel string) {
		list, err := os.ReadDir(filepath.Join(path, rel))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			p := filepath.Join(rel, e.Name())
			if strings.HasPrefix(p, "..") {
				continue
			}
			if info, err := os.Stat(filepath.Join(path, p)); err == nil && info.IsDir() {
				walk(p)
			} else if b, err := os.ReadFile(filepath.Join(path, p)); err == nil {
				out[p] = string(b)
			} else {
				t.Error(err)
			}
		}
	}
	walk("")
	return out
}

func TestManagerPassesTheSuite(t *testing.T) {
	testutil.RequireRoot(t)
	volumetest.Run(t, func(t *testing.T) volumetest.Impl {
		root(t)
		m := volume.New(volume.Options{})
		return volumetest.Impl{Volumes: m, Read: read, Dir: func(t *testing.T) string { return podDir(t, m) }}
	})
}

func setUp(t testing.TB, m *volume.Manager, r volume.Request) map[string]volume.Mounted {
	t.Helper()
	out, err := m.SetUp(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhereContentLies(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{Allocatable: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}})
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "1"})
	objects.SetConfigMap("both", map[string]string{"a": "1"})
	objects.SetSecret("cred", map[string][]byte{"a": nil})
	objects.SetSecret("both", map[string][]byte{"key": nil})
	dir := podDir(t, m)
	pod := volumetest.Pod(volumetest.EmptyDir("scratch", ""), volumetest.EmptyDir("fast", "Memory"), volumetest.ConfigMap("conf", false),
		volumetest.Secret("cred", false), volumetest.Downward("self"), volumetest.Projected("both"))
	out := setUp(t, m, volume.Request{Pod: pod, Dir: dir, Objects: objects})
	for name, want := range map[string]struct {
		plugin string
		memory bool
		mode   fs.FileMode
	}{
		"scratch": {"empty-dir", false, 0o777}, "fast": {"empty-dir", true, fs.ModeSticky | 0o777}, "conf": {"configmap", false, 0o777},
		"cred": {"secret", true, fs.ModeSticky | 0o777}, "self": {"downward-api", true, fs.ModeSticky | 0o777}, "both": {"projected", true, fs.ModeSticky | 0o777},
	} {
		path := filepath.Join(dir, "volumes", "kubernetes.io~"+want.plugin, name)
		if out[name].Path != path {
			t.Errorf("%s lies at %s, want %s", name, out[name].Path, path)
		}
		var st syscall.Statfs_t
		if err := syscall.Statfs(path, &st); err != nil {
			t.Fatal(err)
		}
		const tmpfs = 0x01021994
		if memory := st.Type == tmpfs && device(t, path) != device(t, dir); memory != want.memory {
			t.Errorf("%s in memory of its own: %v, want %v", name, memory, want.memory)
		}
		if size := int64(st.Blocks) * st.Bsize; want.memory && size != 1<<30 {
			t.Errorf("%s holds %d bytes, want the node's 1 GiB", name, size)
		}
		if info, _ := os.Stat(path); info.Mode()&^fs.ModeDir != want.mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want.mode)
		}
	}
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Dev
}

func TestMemorySize(t *testing.T) {
	root(t)
	limited := func(pod *corev1.Pod, limit string) *corev1.Pod {
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
		return pod
	}
	sized := func(limit string) corev1.Volume {
		v := volumetest.EmptyDir("fast", "Memory")
		q := resource.MustParse(limit)
		v.EmptyDir.SizeLimit = &q
		return v
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node string
		want int64
	}{
		"the volume's own":          {limited(volumetest.Pod(sized("1Mi")), "4Mi"), "8Mi", 1 << 20},
		"the pod's limit":           {limited(volumetest.Pod(sized("16Mi")), "4Mi"), "8Mi", 4 << 20},
		"the node's":                {volumetest.Pod(sized("16Mi")), "8Mi", 8 << 20},
		"no limit of its own":       {limited(volumetest.Pod(volumetest.EmptyDir("fast", "Memory")), "4Mi"), "8Mi", 4 << 20},
		"a node that does not tell": {volumetest.Pod(sized("2Mi")), "", 2 << 20},
		"zero is no limit":          {volumetest.Pod(sized("0")), "8Mi", 8 << 20},
		"a container without a limit": {func() *corev1.Pod {
			p := limited(volumetest.Pod(sized("6Mi")), "4Mi")
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
			return p
		}(), "8Mi", 6 << 20},
		"the whole node has less room": {limited(volumetest.Pod(sized("16Mi")), "12Mi"), "8Mi", 8 << 20},
	} {
		o := volume.Options{}
		if c.node != "" {
			o.Allocatable = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(c.node)}
		}
		m := volume.New(o)
		dir := podDir(t, m)
		out := setUp(t, m, volume.Request{Pod: c.pod, Dir: dir})
		var st syscall.Statfs_t
		if err := syscall.Statfs(out["fast"].Path, &st); err != nil {
			t.Fatal(err)
		}
		if got := int64(st.Blocks) * st.Bsize; got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

func owner(t *testing.T, path string) (mode fs.FileMode, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return info.Mode() &^ fs.ModeDir, st.Uid, st.Gid
}

func TestFSGroup(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	objects := &volumetest.Objects{}
	objects.SetConfigMap("both", map[string]string{"a": "1"})
	objects.SetSecret("both", map[string][]byte{"key": []byte("2")})
	group, user := int64(4242), int64(77)
	projected := volumetest.Projected("both")
	projected.Projected.Sources = append(projected.Projected.Sources, corev1.VolumeProjection{
		ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"},
	})
	pod := volumetest.Pod(volumetest.EmptyDir("scratch", ""), volumetest.EmptyDir("fast", "Memory"), projected)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group, RunAsUser: &user}
	tokens := volume.TokenFunc(func(_ context.Context, r volume.TokenRequest) (string, error) {
		return fmt.Sprintf("%s/%s %d", r.Namespace, r.Pod, r.ExpirationSeconds), nil
	})
	r := volume.Request{Pod: pod, Dir: podDir(t, m), Objects: objects, Tokens: tokens}
	out := setUp(t, m, r)
	check := func(path string, mode fs.FileMode, uid uint32) {
		t.Helper()
		if m, u, g := owner(t, path); m != mode || u != uid || g != uint32(group) {
			t.Errorf("%s: %v %d:%d, want %v %d:%d", path, m, u, g, mode, uid, group)
		}
	}
	for range 2 {
		check(out["scratch"].Path, fs.ModeSetgid|0o777, 0)
		check(out["fast"].Path, fs.ModeSetgid|fs.ModeSticky|0o777, 0)
		both := out["both"].Path
		check(both, fs.ModeSetgid|fs.ModeSticky|0o777, 0)
		data := filepath.Join(both, "..data")
		stamp, err := os.Readlink(data)
		if err != nil {
			t.Fatal(err)
		}
		check(filepath.Join(both, stamp), fs.ModeSetgid|0o755, 0)
		check(filepath.Join(data, "a"), 0o644|0o040, 0)
		check(filepath.Join(data, "deep"), fs.ModeSetgid|0o755, 0)
		check(filepath.Join(data, "token"), 0o640, uint32(user))
		// Not by its link: with fs.protected_symlinks only its user may follow that.
		if got, err := os.ReadFile(filepath.Join(data, "token")); string(got) != "default/web 3600" {
			t.Errorf("token %q, %v", got, err)
		}
		setUp(t, m, r) // again: nothing changes
	}
}

func TestEmptyDirKeepsItsContent(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	group := int64(4242)
	pod := volumetest.Pod(volumetest.EmptyDir("scratch", ""), volumetest.EmptyDir("fast", "Memory"))
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
	r := volume.Request{Pod: pod, Dir: podDir(t, m)}
	out := setUp(t, m, r)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range out {
		if err := os.WriteFile(filepath.Join(out[name].Path, "f"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(out[name].Path, "f"), 0, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(out[name].Path, "f"), filepath.Join(out[name].Path, "g")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, filepath.Join(out[name].Path, "to-victim")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		setUp(t, volume.New(volume.Options{}), r) // another agent
	}
	for name := range out {
		if b, err := os.ReadFile(filepath.Join(out[name].Path, "f")); string(b) != name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		if mode, _, gid := owner(t, filepath.Join(out[name].Path, "f")); mode != 0o600 || gid == uint32(group) {
			t.Errorf("%s: the container's own file was changed: %v, group %d", name, mode, gid)
		}
	}
	if mode, _, gid := owner(t, victim); mode != 0o600 || gid == uint32(group) {
		t.Errorf("a file outside was changed: %v, group %d", mode, gid)
	}
}

func TestNestedMountpoints(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "1"})
	pod := volumetest.Pod(volumetest.ConfigMap("conf", false), volumetest.EmptyDir("scratch", ""))
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "conf", MountPath: "/etc/app"}, {Name: "scratch", MountPath: "/etc/app/cache/deep"},
		{Name: "scratch", MountPath: "/etc/app/cache/deep/er"}, {Name: "scratch", MountPath: "/etc/app-other"},
	}
	r := volume.Request{Pod: pod, Dir: podDir(t, m), Objects: objects}
	for range 2 {
		out := setUp(t, m, r)
		list, err := filepath.Glob(filepath.Join(out["conf"].Path, "cache/*"))
		if err != nil || !slices.Equal(list, []string{filepath.Join(out["conf"].Path, "cache/deep")}) {
			t.Errorf("mount points %v, %v", list, err)
		}
		if more, _ := filepath.Glob(filepath.Join(out["conf"].Path, "cache/deep/*")); len(more) != 0 {
			t.Errorf("too deep: %v", more)
		}
	}
}
