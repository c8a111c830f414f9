package ocispec_test

import (
	"fmt"

	"github.com/lifepod/lifepod/cri/ocispec"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func ExampleBuild() {
	spec, err := ocispec.Build(ocispec.Input{
		Container:  &runtimeapi.ContainerConfig{Args: []string{"-v"}},
		Sandbox:    &runtimeapi.PodSandboxConfig{Hostname: "web"},
		Image:      imagespec.ImageConfig{Entrypoint: []string{"/server"}, Cmd: []string{"-q"}, WorkingDir: "/srv"},
		Rootfs:     "/run/root",
		Namespaces: ocispec.Namespaces{Net: "/run/ns/net", IPC: "/run/ns/ipc", UTS: "/run/ns/uts", PID: "/proc/7/ns/pid"},
	})
	fmt.Println(err, spec.Process.Args, spec.Process.Cwd, spec.Process.Env[1])
	_, err = ocispec.Build(ocispec.Input{Container: &runtimeapi.ContainerConfig{}, Sandbox: &runtimeapi.PodSandboxConfig{}})
	fmt.Println(err)
	// Output:
	// <nil> [/server -v] /srv HOSTNAME=web
	// command: no command specified
}
