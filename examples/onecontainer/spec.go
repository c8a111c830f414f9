package main

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/netns"
)

// ociSpec is the smallest runtime spec that gives a program a world of its own.
func ociSpec(rootfs, cgroup string, pins netns.Pins, args []string) *specs.Spec {
	return &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: rootfs},
		Process: &specs.Process{
			Args: append([]string{"/demo"}, args...), Cwd: "/", Env: []string{"PATH=/bin"}, NoNewPrivileges: true,
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
		},
		Linux: &specs.Linux{
			CgroupsPath: cgroup,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.MountNamespace}, {Type: specs.PIDNamespace},
				{Type: specs.NetworkNamespace, Path: pins.Net},
				{Type: specs.IPCNamespace, Path: pins.IPC},
				{Type: specs.UTSNamespace, Path: pins.UTS},
			},
		},
	}
}
