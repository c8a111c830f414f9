package lifecycle

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (w *worker) credentials(ctx context.Context, image string) ([]*runtimeapi.AuthConfig, error) {
	return []*runtimeapi.AuthConfig{nil}, nil
}
