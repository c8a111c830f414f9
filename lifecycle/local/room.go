package local

import (
	"context"
	"errors"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/local/imagegc"
)

// roomy are images for which room is made when there is none: a pull that finds
// the disk full is tried once more after images went.
type roomy struct {
	lifecycle.Images
	gc *imagegc.Collector
}

// PullImage implements [lifecycle.Images].
func (r roomy) PullImage(ctx context.Context, spec *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, sandbox *runtimeapi.PodSandboxConfig) (string, error) {
	began := time.Now()
	ref, err := r.Images.PullImage(ctx, spec, auth, sandbox)
	if errors.Is(err, syscall.ENOSPC) && r.gc.MakeRoom(ctx, began) {
		ref, err = r.Images.PullImage(ctx, spec, auth, sandbox)
	}
	if err == nil {
		r.gc.Pulled()
	}
	return ref, err
}
