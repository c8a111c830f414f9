package ocispec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var allCaps = append([]string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"}, DefaultCapabilities...)

// good is an input that can be built; each case changes one thing.
func good() Input {
	return Input{
		Container: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "main"}, Command: []string{"/bin/app"},
			Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			}},
		},
		Sandbox:    &runtimeapi.PodSandboxConfig{Hostname: "pod", Metadata: &runtimeapi.PodSandboxMetadata{Name: "p"}},
		Rootfs:     "/rootfs",
		Namespaces: Namespaces{Net: "/ns/net", IPC: "/ns/ipc", UTS: "/ns/uts"},
		Files:      Files{Hostname: "/f/hostname", Hosts: "/f/hosts", ResolvConf: "/f/resolv.conf", Shm: "/f/shm"},
		Host:       Host{Hostname: "node", Capabilities: allCaps, MinOOMScoreAdj: -500, MaxOpenFiles: 4096, RecursiveReadOnly: true},
	}
}

func sc(in *Input) *runtimeapi.LinuxContainerSecurityContext {
	return in.Container.Linux.SecurityContext
}

func mountAt(s *specs.Spec, dst string) *specs.Mount {
	if i := slices.IndexFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == dst }); i >= 0 {
		return &s.Mounts[i]
	}
	return nil
}

func has(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

func TestBuild(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Input)
		holds  func(*specs.Spec) bool
	}{
		"the good one": {func(*Input) {}, func(s *specs.Spec) bool {
			return s.Root.Path == "/rootfs" && !s.Root.Readonly && s.Process.Cwd == "/" && !s.Process.NoNewPrivileges &&
				slices.Equal(s.Process.Capabilities.Bounding, DefaultCapabilities) && s.Process.Capabilities.Ambient == nil &&
				s.Linux.Seccomp == nil && s.Process.OOMScoreAdj == nil && len(s.Linux.MaskedPaths) == 0
		}},
		"open files are limited as far as they can be": {func(*Input) {}, func(s *specs.Spec) bool {
			return s.Process.Rlimits[0] == specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}
		}},
		"no devices but the runtime's": {func(*Input) {}, func(s *specs.Spec) bool {
			return len(s.Linux.Resources.Devices) == 1 && !s.Linux.Resources.Devices[0].Allow
		}},
		"without a security context the defaults are masked": {func(in *Input) { in.Container.Linux = nil; in.Namespaces.PID = "/proc/7/ns/pid" }, func(s *specs.Spec) bool {
			return slices.Contains(s.Linux.MaskedPaths, "/proc/kcore") && slices.Contains(s.Linux.ReadonlyPaths, "/proc/sys") &&
				slices.Contains(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/7/ns/pid"})
		}},
		"masked paths are the message's": {func(in *Input) { sc(in).MaskedPaths, sc(in).ReadonlyPaths = []string{"/a"}, []string{"/b"} }, func(s *specs.Spec) bool {
			return slices.Equal(s.Linux.MaskedPaths, []string{"/a"}) && slices.Equal(s.Linux.ReadonlyPaths, []string{"/b"})
		}},
		"read-only root, and the pod's files with it": {func(in *Input) { sc(in).ReadonlyRootfs = true }, func(s *specs.Spec) bool {
			return s.Root.Readonly && slices.Contains(mountAt(s, "/etc/hosts").Options, "ro") && slices.Contains(mountAt(s, "/dev/shm").Options, "rw")
		}},
		"no new privileges": {func(in *Input) { sc(in).NoNewPrivs = true }, func(s *specs.Spec) bool { return s.Process.NoNewPrivileges }},
		"a tty has a TERM":  {func(in *Input) { in.Container.Tty = true }, func(s *specs.Spec) bool { return s.Process.Terminal && slices.Contains(s.Process.Env, "TERM=xterm") }},
		"pid of the node":   {func(in *Input) { sc(in).NamespaceOptions.Pid = runtimeapi.NamespaceMode_NODE }, func(s *specs.Spec) bool { return !has(s, specs.PIDNamespace) }},
		"network of the node, and its hostname": {func(in *Input) {
			in.Sandbox.Linux = &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE}}}
			in.Sandbox.Hostname = ""
		}, func(s *specs.Spec) bool {
			return !has(s, specs.NetworkNamespace) && !has(s, specs.UTSNamespace) && has(s, specs.IPCNamespace) && slices.Contains(s.Process.Env, "HOSTNAME=node")
		}},
		"a cgroup namespace on v2": {func(in *Input) { in.Host.CgroupV2 = true }, func(s *specs.Spec) bool { return has(s, specs.CgroupNamespace) }},
		"none on v1":               {func(*Input) {}, func(s *specs.Spec) bool { return !has(s, specs.CgroupNamespace) }},
		"privileged": {func(in *Input) {
			in.Sandbox.Linux = &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{Privileged: true}}
			sc(in).Privileged, sc(in).MaskedPaths = true, []string{"/a"}
			sc(in).Seccomp = &runtimeapi.SecurityProfile{}
			in.HostDevices = []specs.LinuxDevice{{Path: "/dev/kvm"}}
		}, func(s *specs.Spec) bool {
			return slices.Equal(s.Process.Capabilities.Bounding, allCaps) && s.Linux.MaskedPaths == nil && s.Linux.Seccomp == nil &&
				slices.Contains(mountAt(s, "/sys").Options, "rw") && s.Linux.Devices[0].Path == "/dev/kvm" && s.Linux.Resources.Devices[1].Allow
		}},
		"ambient capabilities": {func(in *Input) {
			sc(in).Capabilities = &runtimeapi.Capability{AddAmbientCapabilities: []string{"NET_ADMIN"}}
		}, func(s *specs.Spec) bool {
			c := s.Process.Capabilities
			return slices.Equal(c.Ambient, []string{"CAP_NET_ADMIN"}) && slices.Contains(c.Permitted, "CAP_NET_ADMIN") && slices.Contains(c.Inheritable, "CAP_NET_ADMIN")
		}},
		"a device": {func(in *Input) {
			in.Devices = []Device{{LinuxDevice: specs.LinuxDevice{Path: "/dev/x", Type: "c", Major: 7, Minor: 8}, Access: "rw"}}
		}, func(s *specs.Spec) bool {
			r := s.Linux.Resources.Devices[1]
			return s.Linux.Devices[0].Path == "/dev/x" && r.Allow && *r.Major == 7 && *r.Minor == 8 && r.Access == "rw"
		}},
		"limits": {func(in *Input) {
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuShares: 512, CpuQuota: -1, CpuPeriod: 100000, MemoryLimitInBytes: 1 << 20, OomScoreAdj: 900, CpusetCpus: "0"}
		}, func(s *specs.Spec) bool {
			r := s.Linux.Resources
			return *r.CPU.Shares == 512 && *r.CPU.Quota == -1 && *r.CPU.Period == 100000 && *r.Memory.Limit == 1<<20 && r.Memory.Swap == nil && *s.Process.OOMScoreAdj == 900 && r.CPU.Cpus == "0"
		}},
		"the OOM score is raised to what may be set": {func(in *Input) { in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{OomScoreAdj: -997} },
			func(s *specs.Spec) bool { return *s.Process.OOMScoreAdj == -500 }},
		"no swap beyond memory": {func(in *Input) {
			in.Host.SwapLimit = true
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 5}
		}, func(s *specs.Spec) bool { return *s.Linux.Resources.Memory.Swap == 5 }},
		"swap of its own": {func(in *Input) {
			in.Host.SwapLimit = true
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 5, MemorySwapLimitInBytes: 9}
		}, func(s *specs.Spec) bool { return *s.Linux.Resources.Memory.Swap == 9 }},
		"unified and huge pages": {func(in *Input) {
			in.Host.CgroupV2, in.Host.HugeTLB = true, true
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{Unified: map[string]string{"memory.oom.group": "1"}, HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 3}}}
		}, func(s *specs.Spec) bool {
			return s.Linux.Resources.Unified["memory.oom.group"] == "1" && s.Linux.Resources.HugepageLimits[0] == specs.LinuxHugepageLimit{Pagesize: "2MB", Limit: 3}
		}},
		"no huge pages need no controller": {func(in *Input) {
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB"}}}
		}, func(s *specs.Spec) bool { return s.Linux.Resources.HugepageLimits == nil }},
		"unconfined is no profile": {func(in *Input) {
			sc(in).Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
		},
			func(s *specs.Spec) bool { return s.Linux.Seccomp == nil }},
		"unconfined AppArmor is nothing to do": {func(in *Input) {
			sc(in).Apparmor = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
		},
			func(s *specs.Spec) bool { return s.Process.ApparmorProfile == "" }},
		"empty SELinux options are none": {func(in *Input) { sc(in).SelinuxOptions = &runtimeapi.SELinuxOption{} }, func(*specs.Spec) bool { return true }},
	} {
		in := good()
		c.change(&in)
		s, err := Build(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !c.holds(s) {
			t.Errorf("%s does not hold: %+v %+v", name, s.Process, s.Linux)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for field, change := range map[string]func(*Input){
		"command":                                              func(in *Input) { in.Container.Command = nil },
		"envs":                                                 func(in *Input) { in.Container.Envs = []*runtimeapi.KeyValue{{Key: "A=B"}} },
		"linux.security_context.privileged":                    func(in *Input) { sc(in).Privileged = true },
		"linux.security_context.selinux_options":               func(in *Input) { sc(in).SelinuxOptions = &runtimeapi.SELinuxOption{Level: "s0"} },
		"linux.security_context.apparmor":                      func(in *Input) { sc(in).Apparmor = &runtimeapi.SecurityProfile{} },
		"linux.security_context.seccomp":                       func(in *Input) { sc(in).Seccomp = &runtimeapi.SecurityProfile{ProfileType: 9} },
		"linux.security_context.namespace_options.network":     func(in *Input) { sc(in).NamespaceOptions.Network = runtimeapi.NamespaceMode_NODE },
		"linux.security_context.namespace_options.ipc":         func(in *Input) { sc(in).NamespaceOptions.Ipc = runtimeapi.NamespaceMode_NODE },
		"linux.security_context.capabilities.add_capabilities": func(in *Input) { sc(in).Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"SYS_BOOT"}} },
		"linux.security_context.capabilities.drop_capabilities": func(in *Input) {
			sc(in).Capabilities = &runtimeapi.Capability{DropCapabilities: []string{"NOPE"}}
		},
		"linux.resources.unified": func(in *Input) {
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{Unified: map[string]string{"a.b": "1"}}
		},
		"linux.resources.hugepage_limits": func(in *Input) {
			in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 1}}}
		},
		"linux.resources.cpu_period": func(in *Input) { in.Container.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: -1} },
		"mounts[0].container_path":   func(in *Input) { mount(in, &runtimeapi.Mount{ContainerPath: "x"}) },
		"mounts[0].propagation":      func(in *Input) { mount(in, &runtimeapi.Mount{ContainerPath: "/x", Propagation: 9}) },
		"mounts[0].selinux_relabel": func(in *Input) {
			in.Host.SELinux = true
			mount(in, &runtimeapi.Mount{ContainerPath: "/x", SelinuxRelabel: true})
		},
		"mounts[0].recursive_read_only": func(in *Input) {
			mount(in, &runtimeapi.Mount{ContainerPath: "/x", Readonly: true, RecursiveReadOnly: true, Propagation: runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL})
		},
	} {
		in := good()
		change(&in)
		_, err := Build(in)
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != field || fe.Reason == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	in := good()
	in.Namespaces.Net = ""
	if _, err := Build(in); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("a pod without its namespace: %v", err)
	}
}

func mount(in *Input, m *runtimeapi.Mount) {
	in.Container.Mounts = append(in.Container.Mounts, m)
	in.Sources = append(in.Sources, "/src"+m.GetContainerPath())
}

func TestMounts(t *testing.T) {
	in := good()
	mount(&in, &runtimeapi.Mount{ContainerPath: "/a/b/c", Readonly: true, Propagation: runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER})
	mount(&in, &runtimeapi.Mount{ContainerPath: "/a", Readonly: true, RecursiveReadOnly: true})
	mount(&in, &runtimeapi.Mount{ContainerPath: "/etc/hosts/", Propagation: runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL})
	mount(&in, &runtimeapi.Mount{ContainerPath: "/dev"})
	in.Volumes = []Volume{{"/v/0", "/data"}}
	s, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, m := range s.Mounts {
		at = append(at, m.Destination)
	}
	want := []string{"/proc", "/sys", "/sys/fs/cgroup", "/a", "/dev", "/data", "/etc/hosts/", "/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/a/b/c"}
	if !slices.Equal(at, want) {
		t.Errorf("mounts %v, want %v", at, want)
	}
	for dst, opt := range map[string][]string{"/a": {"rbind", "rprivate", "rro"}, "/a/b/c": {"rbind", "rslave", "ro"}, "/etc/hosts/": {"rbind", "rshared", "rw"}} {
		if m := mountAt(s, dst); !slices.Equal(m.Options, opt) || m.Source != "/src"+dst {
			t.Errorf("%s: %+v, want %v", dst, m, opt)
		}
	}
	if s.Linux.RootfsPropagation != "rshared" {
		t.Errorf("propagation of the root %q", s.Linux.RootfsPropagation)
	}
}

// Each of an image's Entrypoint and Cmd and of a container's command and args is
// set or not: 16 cases, of which Kubernetes' documentation lists four with an
// image that sets both. A command drops the image's Cmd, too. What is not set may
// be absent or empty; both mean the same.
func TestArgs(t *testing.T) {
	const command, args, entrypoint, cmd = 8, 4, 2, 1
	for set, want := range [16]string{
		0:                           "",
		cmd:                         "c",
		entrypoint:                  "e",
		entrypoint | cmd:            "e c",
		args:                        "a",
		args | cmd:                  "a",
		args | entrypoint:           "e a",
		args | entrypoint | cmd:     "e a",
		command:                     "x",
		command | cmd:               "x",
		command | entrypoint:        "x",
		command | entrypoint | cmd:  "x",
		command | args:              "x a",
		command | args | cmd:        "x a",
		command | args | entrypoint: "x a",
		15:                          "x a",
	} {
		for which, unset := range map[string][]string{"absent": nil, "empty": {}} {
			one := func(bit int, value string) []string {
				if set&bit != 0 {
					return []string{value}
				}
				return unset
			}
			c := &runtimeapi.ContainerConfig{Command: one(command, "x"), Args: one(args, "a")}
			img := imagespec.ImageConfig{Entrypoint: one(entrypoint, "e"), Cmd: one(cmd, "c")}
			checkArgs(t, fmt.Sprintf("%04b, else %s", set, which), c, img, want)
		}
	}
	nobody := imagespec.ImageConfig{Entrypoint: []string{""}, Cmd: []string{"c"}} // Docker's way to unset one
	checkArgs(t, "an empty entrypoint", &runtimeapi.ContainerConfig{}, nobody, "c")
	checkArgs(t, "an empty entrypoint and args", &runtimeapi.ContainerConfig{Args: []string{"a"}}, nobody, "a")
	checkArgs(t, "an empty entrypoint alone", &runtimeapi.ContainerConfig{}, imagespec.ImageConfig{Entrypoint: []string{""}}, "")
}

func checkArgs(t *testing.T, name string, c *runtimeapi.ContainerConfig, img imagespec.ImageConfig, want string) {
	t.Helper()
	got, err := Args(c, img)
	if strings.Join(got, " ") != want || (err == nil) != (want != "") || err != nil && !strings.Contains(err.Error(), "no command specified") {
		t.Errorf("%s: %q %v, want %q", name, got, err, want)
	}
	if len(got) > 0 {
		got[0] = "changed"
	}
	if strings.Contains(strings.Join(slices.Concat(c.GetCommand(), c.GetArgs(), img.Entrypoint, img.Cmd), " "), "changed") {
		t.Errorf("%s: it shares memory with what it was made of", name)
	}
}

func TestCwd(t *testing.T) {
	for _, c := range []struct{ container, image, want string }{
		{"", "", "/"}, {"", "/srv", "/srv"}, {"/own", "/srv", "/own"}, {"", "srv", "/srv"}, {"", "/a/../../b/", "/b"}, {"../x", "", "/x"},
	} {
		got := Cwd(&runtimeapi.ContainerConfig{WorkingDir: c.container}, imagespec.ImageConfig{WorkingDir: c.image})
		if got != c.want {
			t.Errorf("%q over %q: %s, want %s", c.container, c.image, got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	in := good()
	in.Image.Env = []string{"PATH=/image", "A=1", "B=2", "UNSET"}
	in.Container.Envs = []*runtimeapi.KeyValue{{Key: "B", Value: []byte{0xff, 'x'}}, {Key: "C"}, {Key: "HOSTNAME", Value: []byte("mine")}, {Key: "C", Value: []byte("last")}}
	s, err := Build(in)
	want := []string{"PATH=/image", "HOSTNAME=mine", "A=1", "B=\xffx", "C=last"}
	if err != nil || !slices.Equal(s.Process.Env, want) {
		t.Errorf("%q %v, want %q", s.Process.Env, err, want)
	}
}

func TestCapabilities(t *testing.T) {
	for name, c := range map[string]struct {
		add, drop []string
		want      []string
	}{
		"none":                   {nil, []string{"ALL"}, nil},
		"drop all, add one":      {[]string{"NET_BIND_SERVICE"}, []string{"all"}, []string{"CAP_NET_BIND_SERVICE"}},
		"all but one":            {[]string{"ALL"}, []string{"CHOWN"}, slices.DeleteFunc(slices.Clone(allCaps), func(s string) bool { return s == "CAP_CHOWN" })},
		"one more":               {[]string{"net_admin"}, nil, append(slices.Clone(DefaultCapabilities), "CAP_NET_ADMIN")},
		"with the prefix":        {[]string{"CAP_NET_ADMIN"}, []string{"ALL"}, []string{"CAP_NET_ADMIN"}},
		"one that is there":      {[]string{"CHOWN"}, nil, DefaultCapabilities},
		"added and dropped: not": {[]string{"NET_ADMIN"}, []string{"ALL", "NET_ADMIN"}, nil},
	} {
		got, err := Capabilities(&runtimeapi.Capability{AddCapabilities: c.add, DropCapabilities: c.drop}, allCaps)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v", name, got, err, c.want)
		}
	}
}

func id(v int64) *runtimeapi.Int64Value { return &runtimeapi.Int64Value{Value: v} }

func TestResolveUser(t *testing.T) {
	files := fstest.MapFS{
		"etc/passwd": {Data: []byte("root:x:0:0::/:\napp:x:1000:1001::/:\nbad:x:-1:99999999999::/:\n")},
		"etc/group":  {Data: []byte("root:x:0:app\nwheel:x:10:root\napp:x:1001:app\nextra:x:2000:other,app\nnums:x:3000:1234\n")},
	}
	for name, c := range map[string]struct {
		image string
		sc    *runtimeapi.LinuxContainerSecurityContext
		want  User
		err   string
	}{
		"nobody asks: root and its groups": {"", nil, User{0, 0, []uint32{0, 10}}, ""},
		"the image's name":                 {"app", nil, User{1000, 1001, []uint32{0, 1001, 2000}}, ""},
		"the image's name and group":       {"app:extra", nil, User{1000, 2000, []uint32{0, 2000}}, ""},
		"the image's id, with its group":   {"1000", nil, User{1000, 1001, []uint32{0, 1001, 2000}}, ""},
		"an id that nobody has":            {"1234", nil, User{1234, 0, []uint32{0}}, ""},
		"an id and a group id":             {"1234:7", nil, User{1234, 7, []uint32{7}}, ""},
		"the message's id wins":            {"app", &runtimeapi.LinuxContainerSecurityContext{RunAsUser: id(0)}, User{0, 0, []uint32{0, 10}}, ""},
		"the message's id and group":       {"app", &runtimeapi.LinuxContainerSecurityContext{RunAsUser: id(1000), RunAsGroup: id(5)}, User{1000, 5, []uint32{0, 5, 2000}}, ""},
		"the message's name":               {"", &runtimeapi.LinuxContainerSecurityContext{RunAsUsername: "app"}, User{1000, 1001, []uint32{0, 1001, 2000}}, ""},
		"more groups":                      {"app", &runtimeapi.LinuxContainerSecurityContext{SupplementalGroups: []int64{9, 2000}}, User{1000, 1001, []uint32{0, 9, 1001, 2000}}, ""},
		"strictly these groups":            {"app", &runtimeapi.LinuxContainerSecurityContext{SupplementalGroups: []int64{9}, SupplementalGroupsPolicy: 1}, User{1000, 1001, []uint32{9, 1001}}, ""},
		"a name that nobody has":           {"ghost", nil, User{}, "no users found"},
		"a group that nobody has":          {"app:ghosts", nil, User{}, "no groups found"},
		"a group without a user":           {"", &runtimeapi.LinuxContainerSecurityContext{RunAsGroup: id(5)}, User{}, `user group "5" is specified without user`},
		"an id beyond 31 bits":             {"2147483648", nil, User{}, "out of range"},
		"a negative id":                    {"", &runtimeapi.LinuxContainerSecurityContext{RunAsUser: id(-1)}, User{}, "out of range"},
		"a group beyond 31 bits":           {"", &runtimeapi.LinuxContainerSecurityContext{SupplementalGroups: []int64{1 << 40}}, User{}, "is no group id"},
		"an entry out of range":            {"bad", nil, User{}, "out of range"},
		"an unknown policy":                {"", &runtimeapi.LinuxContainerSecurityContext{SupplementalGroupsPolicy: 7}, User{}, "is unknown"},
	} {
		got, err := ResolveUser(files, &runtimeapi.ContainerConfig{Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: c.sc}}, imagespec.ImageConfig{User: c.image})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || got.UID != c.want.UID || got.GID != c.want.GID || !slices.Equal(got.Groups, c.want.Groups) {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
	}
	if got, err := ResolveUser(fstest.MapFS{}, &runtimeapi.ContainerConfig{}, imagespec.ImageConfig{User: "5:6"}); err != nil || got.UID != 5 || got.GID != 6 {
		t.Errorf("an image without files: %+v %v", got, err)
	}
}

func TestMerge(t *testing.T) {
	old := &runtimeapi.LinuxContainerResources{CpuShares: 1, MemoryLimitInBytes: 2, Unified: map[string]string{"a": "1", "b": "2"}, HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB"}}}
	got := Merge(old, &runtimeapi.LinuxContainerResources{CpuShares: 9, Unified: map[string]string{"b": "3"}, CpusetCpus: "1"})
	if got.CpuShares != 9 || got.MemoryLimitInBytes != 2 || got.Unified["a"] != "1" || got.Unified["b"] != "3" || got.CpusetCpus != "1" || len(got.HugepageLimits) != 1 || old.Unified["b"] != "2" {
		t.Errorf("merged %v, old %v", got, old)
	}
}

func TestImageVolumes(t *testing.T) {
	img := imagespec.ImageConfig{Volumes: map[string]struct{}{"/data": {}, "rel": {}, "/covered": {}, "/": {}, "/data/": {}}}
	got := ImageVolumes(&runtimeapi.ContainerConfig{Mounts: []*runtimeapi.Mount{{ContainerPath: "/covered/"}}}, img)
	if want := []string{"/data", "/rel"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzResolveUser(f *testing.F) {
	f.Add("root:x:0:0::/:\n", "root:x:0:a,b\n", "root:root", int64(5))
	f.Add(":::::\n\n+::::::\n", "a:b\n:::,", "0", int64(-1))
	f.Fuzz(func(t *testing.T, passwd, group, who string, extra int64) {
		files := fstest.MapFS{"etc/passwd": {Data: []byte(passwd)}, "etc/group": {Data: []byte(group)}}
		c := &runtimeapi.ContainerConfig{Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{SupplementalGroups: []int64{extra}}}}
		u, err := ResolveUser(files, c, imagespec.ImageConfig{User: who})
		if err == nil && (!slices.Contains(u.Groups, u.GID) || !slices.IsSorted(u.Groups) || u.UID > 1<<31-1) {
			t.Errorf("%+v", u)
		}
	})
}
