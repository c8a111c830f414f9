package cri_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/cri"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A pod's sandbox and its container, over blocks that only pretend.
func ExampleNew() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	rt, err := cri.New(ctx, cri.FakeOptions(filepath.Join(dir, "root"), filepath.Join(dir, "run")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close(ctx)

	pod := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "web", Namespace: "default", Uid: "1"},
		Linux:    &runtimeapi.LinuxPodSandboxConfig{CgroupParent: "/pods/1"},
	}
	sandbox, err := rt.RunPodSandbox(ctx, pod, "")
	fmt.Println("sandbox:", err)
	id, err := rt.CreateContainer(ctx, sandbox, &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "main"},
		Image:    &runtimeapi.ImageSpec{Image: "docker.io/library/task:1"},
		Args:     []string{"exit", "3"},
	}, pod)
	fmt.Println("created:", err, "started:", rt.StartContainer(ctx, id))
	status, _ := rt.ContainerStatus(ctx, id, false)
	fmt.Println(status.GetStatus().GetState(), status.GetStatus().GetExitCode(), status.GetStatus().GetReason())
	fmt.Println("removed:", rt.RemovePodSandbox(ctx, sandbox))

	pod.Windows = &runtimeapi.WindowsPodSandboxConfig{SecurityContext: &runtimeapi.WindowsSandboxSecurityContext{HostProcess: true}}
	_, err = rt.RunPodSandbox(ctx, pod, "")
	fmt.Println(err)
	// Output:
	// sandbox: <nil>
	// created: <nil> started: <nil>
	// CONTAINER_EXITED 3 Error
	// removed: <nil>
	// windows: Windows pods are not supported
}
