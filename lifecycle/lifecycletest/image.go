package lifecycletest

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageScript is the script of the first container that names the image in a
// pull or a check: images are told apart by the container's name in them.
func (r *Runtime) imageScript(image string) (Image, bool) {
	if r.ImageOf == nil {
		return Image{}, false
	}
	s, ok := r.Scripts[r.ImageOf(image)]
	return s.Image, ok
}

// ImageStatus has no image when it is not there.
func (r *Runtime) ImageStatus(_ context.Context, image *runtimeapi.ImageSpec, _ bool) (*runtimeapi.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	script, _ := r.imageScript(image.GetImage())
	if script.Present != nil && !*script.Present && !r.pulled[image.GetImage()] {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: &runtimeapi.Image{
		Id: image.GetImage(), RepoTags: []string{image.GetImage()}, Size: max(r.ImageSize, 1), Uid: r.ImageUID,
	}}, nil
}

// PullImage takes as long and ends as the script says.
func (r *Runtime) PullImage(ctx context.Context, image *runtimeapi.ImageSpec, _ *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	r.mu.Lock()
	script, _ := r.imageScript(image.GetImage())
	pull := nth(script.Pulls, r.next("pull/"+image.GetImage()))
	r.mu.Unlock()
	if err := wait(ctx, time.Duration(pull.For), 0, nil); err != nil {
		return "", err
	}
	if pull.Err != "" {
		return "", status.Error(codes.Unknown, pull.Err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulled == nil {
		r.pulled = map[string]bool{}
	}
	r.pulled[image.GetImage()] = true
	return image.GetImage(), nil
}
