package cri

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/image"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ListImages lists all images, or the one that the filter names.
func (r *Runtime) ListImages(ctx context.Context, f *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error) {
	if ref := f.GetImage().GetImage(); ref != "" {
		img, err := r.o.Images.Get(ctx, ref)
		if errors.Is(err, image.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, wrap(err, "find image %q", ref)
		}
		return []*runtimeapi.Image{criImage(img)}, nil
	}
	all, err := r.o.Images.List(ctx)
	if err != nil {
		return nil, wrap(err, "list images")
	}
	var out []*runtimeapi.Image
	for _, img := range all {
		out = append(out, criImage(img))
	}
	return out, nil
}

// ImageStatus has no Image for one that is not there.
func (r *Runtime) ImageStatus(ctx context.Context, spec *runtimeapi.ImageSpec, verbose bool) (*runtimeapi.ImageStatusResponse, error) {
	if spec.GetImage() == "" {
		return nil, fieldError("image", "must be set")
	}
	img, err := r.o.Images.Get(ctx, spec.GetImage())
	if errors.Is(err, image.ErrNotFound) {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	if err != nil {
		return nil, wrap(err, "find image %q", spec.GetImage())
	}
	resp := &runtimeapi.ImageStatusResponse{Image: criImage(img)}
	if verbose {
		resp.Info, err = info(map[string]any{"chainIDs": img.ChainIDs, "imageSpec": img.Config})
	}
	return resp, err
}

// criImage tells the user so that runAsNonRoot can be checked: an id where it is
// one, else a name.
func criImage(img image.Image) *runtimeapi.Image {
	out := &runtimeapi.Image{
		Id: img.ID.String(), RepoTags: img.Tags, RepoDigests: img.Digests, Size: uint64(max(img.Size, 0)), Pinned: img.Pinned,
		Spec: &runtimeapi.ImageSpec{Annotations: map[string]string{}},
	}
	user, _, _ := strings.Cut(img.Config.Config.User, ":")
	if user == "" {
		return out
	}
	if id, err := strconv.ParseInt(user, 10, 64); err == nil && id >= 0 && id <= math.MaxUint32 {
		out.Uid = &runtimeapi.Int64Value{Value: id}
	} else {
		out.Username = user
	}
	return out
}

// PullImage pulls an image and returns its ID.
func (r *Runtime) PullImage(ctx context.Context, spec *runtimeapi.ImageSpec, a *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (id string, err error) {
	ctx, end := span(ctx, spanImage)
	defer end(&err)
	if spec.GetImage() == "" {
		return "", fieldError("image", "must be set")
	}
	auth, err := credentials(a)
	if err != nil {
		return "", err
	}
	img, err := r.o.Images.Pull(ctx, spec.GetImage(), auth)
	if err != nil {
		return "", wrap(err, "") // it names the image
	}
	return img.ID.String(), nil
}

// credentials reads a message. Auth is base64 of "user:password". A server
// address is, as for containerd, the URL of the only host that gets them; of one
// that is no URL with a host nobody does.
func credentials(a *runtimeapi.AuthConfig) (Auth, error) {
	out := Auth{Username: a.GetUsername(), Password: a.GetPassword(), IdentityToken: a.GetIdentityToken(), RegistryToken: a.GetRegistryToken()}
	if s := a.GetServerAddress(); s != "" {
		u, err := url.Parse(s)
		if err != nil { // the error would show what the URL holds
			return Auth{}, fieldError("auth.server_address", "is not a URL")
		}
		if out.Host = u.Host; out.Host == "" {
			return Auth{}, nil
		}
	}
	if a.GetAuth() == "" || out.Username != "" || out.IdentityToken != "" {
		return out, nil
	}
	b, err := base64.StdEncoding.DecodeString(a.GetAuth())
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok { // the error would show part of the secret
		return Auth{}, fieldError("auth.auth", "is not base64 of user:password")
	}
	out.Username, out.Password = user, strings.Trim(password, "\x00")
	return out, nil
}

// RemoveImage removes a tag, or the image. Removing what is not there is not an
// error.
func (r *Runtime) RemoveImage(ctx context.Context, spec *runtimeapi.ImageSpec) error {
	if spec.GetImage() == "" {
		return fieldError("image", "must be set")
	}
	err := r.o.Images.Remove(ctx, spec.GetImage())
	if errors.Is(err, image.ErrNotFound) {
		return nil
	}
	return wrap(err, "remove image %q", spec.GetImage())
}

// ImageFsInfo measures the store. Images and writable layers share it.
func (r *Runtime) ImageFsInfo(ctx context.Context) (*runtimeapi.ImageFsInfoResponse, error) {
	u, err := r.o.Images.Usage(ctx)
	if err != nil {
		return nil, wrap(err, "measure the image store")
	}
	fs := func() []*runtimeapi.FilesystemUsage {
		return []*runtimeapi.FilesystemUsage{{
			Timestamp: time.Now().UnixNano(), FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: u.Path},
			UsedBytes: &runtimeapi.UInt64Value{Value: u.Bytes}, InodesUsed: &runtimeapi.UInt64Value{Value: u.Inodes},
		}}
	}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: fs(), ContainerFilesystems: fs()}, nil
}
