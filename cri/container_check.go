package cri

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// checkContainer refuses what cannot be honoured, before anything is made.
func (r *Runtime) checkContainer(c *runtimeapi.ContainerConfig, s *sandbox) error {
	switch {
	case c.GetMetadata() == nil:
		return errorf(codes.InvalidArgument, "container config must include metadata")
	case c.GetMetadata().GetName() == "":
		return fieldError("metadata.name", "must be set")
	case c.GetImage().GetImage() == "":
		return fieldError("image.image", "must be set")
	}
	if err := refuse(c, containerRules()); err != nil {
		return err
	}
	if signalName(c.GetStopSignal()) == "" {
		return fieldError("stop_signal", fmt.Sprintf("the signal %d is unknown", c.GetStopSignal()))
	}
	if _, err := parseSignal(signalName(c.GetStopSignal())); err != nil {
		return fieldError("stop_signal", err.Error())
	}
	if p := c.GetLogPath(); p != "" && !filepath.IsLocal(p) {
		return fieldError("log_path", fmt.Sprintf("%q leads out of the sandbox's log directory", p))
	}
	const sc = "linux.security_context."
	o := c.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if err := noUserNamespace(sc, o); err != nil {
		return err
	}
	if o.GetPid() != runtimeapi.NamespaceMode_TARGET && o.GetTargetId() != "" {
		return fieldError(sc+"namespace_options.target_id", "needs the mode TARGET for pid")
	}
	for i, d := range c.GetDevices() {
		if p := d.GetPermissions(); p == "" || strings.Trim(p, "rwm") != "" {
			return fieldError(fmt.Sprintf("devices[%d].permissions", i), fmt.Sprintf("%q is not of r, w and m", p))
		}
	}
	_, err := r.runtime(s.Handler)
	return err
}

// liveSandbox finds one that is ready.
func (r *Runtime) liveSandbox(ctx context.Context, id string) (*sandbox, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	if ok, why := r.live(ctx, s); !ok {
		return nil, errorf(codes.FailedPrecondition, "sandbox container %q is not running: %s", id, why)
	}
	return s, nil
}

// container finds one that is wholly made.
func (r *Runtime) container(id string) (*ctr, error) {
	c, err := r.containers.get(id)
	if err != nil || c.Phase == making || c.Phase == leaving {
		return nil, errorf(codes.NotFound, "container %q not found", id)
	}
	return c, nil
}

// containersOf are those of a sandbox.
func (r *Runtime) containersOf(sandboxID string) ([]*ctr, error) {
	all, err := r.containers.all()
	if err != nil {
		return nil, err
	}
	var out []*ctr
	for _, c := range all {
		if c.Sandbox == sandboxID && c.Phase != making {
			out = append(out, c)
		}
	}
	return out, nil
}

// sayClamped tells once that out-of-memory scores cannot be lowered here.
func (r *Runtime) sayClamped(c *ctr) {
	if adj := int(c.Config.GetLinux().GetResources().GetOomScoreAdj()); adj < r.host.MinOOMScoreAdj {
		r.oomOnce.Do(func() {
			r.o.Log.Info("oom_score_adj is raised to what this process may set, it lacks CAP_SYS_RESOURCE", "asked", adj, "lowest", r.host.MinOOMScoreAdj)
		})
	}
}
