package cri

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const dirRootfs = "rootfs"

// CreateContainer makes a container up to the moment before its program is
// executed. The image must be there. After an error nothing is left.
func (r *Runtime) CreateContainer(ctx context.Context, sandboxID string, config *runtimeapi.ContainerConfig, sandboxConfig *runtimeapi.PodSandboxConfig) (id string, err error) {
	ctx, end := span(ctx, spanCreate)
	defer end(&err)
	s, err := r.liveSandbox(ctx, sandboxID)
	if err != nil {
		return "", err
	}
	if err := r.checkContainer(config, s); err != nil {
		return "", err
	}
	var making sync.WaitGroup
	defer making.Wait()
	making.Go(func() { r.prepare(ctx, s.Handler) })
	img, err := r.o.Images.Get(ctx, config.GetImage().GetImage())
	if err != nil {
		return "", wrap(err, "resolve image %q", config.GetImage().GetImage())
	}
	c := r.newContainer(config, s, img, sandboxConfig)
	unlock, err := r.containers.add(c)
	if err != nil {
		return "", wrap(err, "make container %s", c.Name)
	}
	defer unlock()
	if err := r.reserve(ctx, c.Name, c.ID); err != nil {
		return "", errors.Join(wrap(err, "reserve container name"), r.containers.remove(c.ID))
	}
	if err = r.build(ctx, c, s, img); err == nil {
		c.Phase = ready
		if err = r.containers.put(c); err == nil {
			// A stop of the sandbox that did not see this container is seen here.
			if _, err = r.liveSandbox(ctx, sandboxID); err == nil {
				r.tell(ctx, c.ID, s.ID, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
				return c.ID, nil
			}
		}
	}
	undo, cancel := cleanup(ctx)
	defer cancel()
	return "", wrap(errors.Join(err, r.discard(undo, c)), "create container %s", c.Name)
}

// newContainer is the record. Its log lies in the directory that the sandbox
// was made with, or that this call names.
func (r *Runtime) newContainer(config *runtimeapi.ContainerConfig, s *sandbox, img image.Image, sc *runtimeapi.PodSandboxConfig) *ctr {
	c := &ctr{
		ID: newID(), Sandbox: s.ID, Name: containerName(config.GetMetadata(), s.Config.GetMetadata()), Boot: r.boot, Handler: s.Handler,
		Phase: making, CreatedAt: time.Now().UnixNano(), ImageID: img.ID.String(), ImageName: config.GetImage().GetImage(),
		Config: proto.CloneOf(config), Resources: proto.CloneOf(config.GetLinux().GetResources()), StopSignal: img.Config.Config.StopSignal,
	}
	c.Cgroup = s.Cgroup + "/" + c.ID
	if config.GetStopSignal() != runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		c.StopSignal = signalName(config.GetStopSignal())
	}
	dir := sc.GetLogDirectory()
	if dir == "" {
		dir = s.Config.GetLogDirectory()
	}
	if dir != "" && config.GetLogPath() != "" {
		c.Log = filepath.Join(dir, config.GetLogPath())
	}
	return c
}

// build makes all parts of a container, the process last.
func (r *Runtime) build(ctx context.Context, c *ctr, s *sandbox, img image.Image) error {
	root := r.containers.path(c.ID, dirRootfs)
	if err := r.mountRoot(ctx, c, img, root); err != nil {
		return err
	}
	in, err := r.input(ctx, c, s, img, root)
	if err != nil {
		return err
	}
	c.User = in.User
	oci, err := ocispec.Build(in)
	if err != nil {
		return err
	}
	if c.Log != "" {
		if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
			return wrap(err, "make the log's directory")
		}
	}
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return err
	}
	return rt.Create(ctx, container.Spec{ID: c.ID, OCI: oci, Log: c.Log, Stdin: c.Config.GetStdin(), StdinOnce: c.Config.GetStdinOnce()})
}

func (r *Runtime) mountRoot(ctx context.Context, c *ctr, img image.Image, root string) (err error) {
	ctx, end := span(ctx, spanSnapshot)
	defer end(&err)
	// This directory also marks on disk that there is something of c to remove.
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	return wrap(r.o.Roots.Mount(ctx, c.ID, img, root), "prepare the root filesystem")
}

// input gathers what the spec depends on.
func (r *Runtime) input(ctx context.Context, c *ctr, s *sandbox, img image.Image, root string) (ocispec.Input, error) {
	in := ocispec.Input{
		Container: c.Config, Sandbox: s.Config, Image: img.Config.Config, Rootfs: root, CgroupsPath: c.Cgroup,
		Files: r.files(s), Host: r.host,
	}
	r.sayClamped(c)
	var err error
	if in.User, err = r.user(root, c, img); err != nil {
		return in, err
	}
	if in.Namespaces, err = r.namespaces(ctx, c, s); err != nil {
		return in, err
	}
	for i, m := range c.Config.GetMounts() {
		src, err := r.machine.source(m)
		if err != nil {
			return in, fieldError(fmt.Sprintf("mounts[%d].host_path", i), err.Error())
		}
		in.Sources = append(in.Sources, src)
	}
	for i, d := range c.Config.GetDevices() {
		ds, err := r.machine.devices(d)
		if err != nil {
			return in, fieldError(fmt.Sprintf("devices[%d].host_path", i), err.Error())
		}
		in.Devices = append(in.Devices, ds...)
	}
	if c.Config.GetLinux().GetSecurityContext().GetPrivileged() {
		if in.HostDevices, err = r.machine.hostDevices(); err != nil {
			return in, wrap(err, "list the node's devices")
		}
	}
	if in.Seccomp, err = seccompProfile(c.Config); err != nil {
		return in, err
	}
	in.Volumes, err = r.volumes(c, img, root)
	c.Volumes = in.Volumes
	return in, err
}

// maxProfile bounds a seccomp profile.
const maxProfile = 4 << 20

func seccompProfile(c *runtimeapi.ContainerConfig) ([]byte, error) {
	const field = "linux.security_context.seccomp.localhost_ref"
	path, err := ocispec.SeccompFile(c)
	if err != nil || path == "" {
		return nil, err
	}
	if !filepath.IsAbs(path) {
		return nil, fieldError(field, fmt.Sprintf("%q is no absolute path", path))
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fieldError(field, "cannot load seccomp profile: "+err.Error())
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxProfile {
		return nil, fieldError(field, fmt.Sprintf("cannot load seccomp profile: %s is no file of at most %d bytes", path, maxProfile))
	}
	return os.ReadFile(path)
}

// namespaces are the paths that the container joins.
func (r *Runtime) namespaces(ctx context.Context, c *ctr, s *sandbox) (ocispec.Namespaces, error) {
	pins, err := r.o.Namespaces.Load(r.nsDir(s.ID))
	if err != nil {
		return ocispec.Namespaces{}, wrap(err, "find the sandbox's namespaces")
	}
	ns := ocispec.Namespaces{Net: pins.Net, IPC: pins.IPC, UTS: pins.UTS}
	o := c.Config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	switch o.GetPid() {
	case runtimeapi.NamespaceMode_POD:
		ns.PID, err = r.ensureHolder(ctx, s.ID)
	case runtimeapi.NamespaceMode_TARGET:
		ns.PID, err = r.targetPID(ctx, o.GetTargetId(), s.ID)
	}
	return ns, err
}

// targetPID is the PID namespace of another container of the sandbox.
func (r *Runtime) targetPID(ctx context.Context, id, sandboxID string) (string, error) {
	const field = "linux.security_context.namespace_options.target_id"
	t, err := r.container(id)
	if err != nil {
		return "", fieldError(field, fmt.Sprintf("invalid target container: container %q does not exist", id))
	}
	if t.Sandbox != sandboxID {
		return "", fieldError(field, fmt.Sprintf("invalid target container: container %q (sandbox %s) does not belong to sandbox %s", id, t.Sandbox, sandboxID))
	}
	st, err := r.state(ctx, t)
	if err != nil {
		return "", err
	}
	if st.Status != container.Running {
		return "", errorf(codes.FailedPrecondition, "invalid target container: container %q is not running - in state %s", id, criState(st))
	}
	return pidNamespace(st.Pid), nil
}

func pidNamespace(pid int) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, specs.PIDNamespace) }

// discard takes away all that a container has, as far as it is there.
func (r *Runtime) discard(ctx context.Context, c *ctr) error {
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return err
	}
	// From here on nobody may look: a status without its process would tell of an
	// end that nobody saw.
	if c.Phase == ready {
		gone := *c
		gone.Phase = leaving
		if err := r.containers.put(&gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrap(err, "mark it as leaving")
		}
	}
	if err := rt.Delete(ctx, c.ID); err != nil {
		return wrap(err, "delete the process")
	}
	if err := r.o.Roots.Unmount(ctx, c.ID, r.containers.path(c.ID, dirRootfs)); err != nil {
		return wrap(err, "remove the root filesystem")
	}
	if err := os.RemoveAll(r.volumesDir(c.ID)); err != nil {
		return wrap(err, "remove the image's volumes")
	}
	if err := r.names.release(c.Name, c.ID); err != nil {
		return err
	}
	return r.containers.remove(c.ID, dirRootfs)
}
