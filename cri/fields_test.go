package cri

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// descend visits all fields of a message but those below a refused one.
func descend(d protoreflect.MessageDescriptor, rules map[string]rule, path string, visit func(path string, fd protoreflect.FieldDescriptor)) {
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		at := path + string(fd.Name())
		visit(at, fd)
		if fd.Message() != nil && !fd.IsMap() && rules[at].verdict != Refused {
			descend(fd.Message(), rules, at+".", visit)
		}
	}
}

var tables = map[string]struct {
	message proto.Message
	rules   map[string]rule
	list    []rule
}{
	"PodSandboxConfig": {&runtimeapi.PodSandboxConfig{}, sandboxRules(), sandboxFields},
	"ContainerConfig":  {&runtimeapi.ContainerConfig{}, containerRules(), containerFields},
}

// Every field of the messages is in the table, and nothing else; each verdict
// but the plain ones has its reason.
func TestFieldsAreComplete(t *testing.T) {
	for name, tab := range tables {
		seen := map[string]bool{}
		descend(tab.message.ProtoReflect().Descriptor(), tab.rules, "", func(path string, _ protoreflect.FieldDescriptor) {
			seen[path] = true
			if _, ok := tab.rules[path]; !ok {
				t.Errorf("%s.%s: no verdict in the table", name, path)
			}
		})
		if len(tab.list) != len(tab.rules) {
			t.Errorf("%s: a path occurs twice", name)
		}
		for path, r := range tab.rules {
			if !seen[path] {
				t.Errorf("%s.%s: there is no such field", name, path)
			}
			if (r.verdict == Limited || r.verdict == Moot || r.verdict == Refused) && r.why == "" {
				t.Errorf("%s.%s: %s without a reason", name, path, r.verdict)
			}
		}
	}
	if got, want := len(Fields()), len(sandboxFields)+len(containerFields); got != want {
		t.Errorf("Fields has %d, want %d", got, want)
	}
}

// fill sets a field to something.
func fill(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	scalar := func() protoreflect.Value {
		switch fd.Kind() {
		case protoreflect.StringKind:
			return protoreflect.ValueOfString("x")
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(true)
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(1)
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(1)
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(1)
		case protoreflect.Uint32Kind:
			return protoreflect.ValueOfUint32(1)
		case protoreflect.Uint64Kind:
			return protoreflect.ValueOfUint64(1)
		}
		return protoreflect.ValueOfBytes([]byte("x"))
	}
	switch {
	case fd.IsMap():
		m.Mutable(fd).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString("v"))
	case fd.IsList() && fd.Message() != nil:
		fillFirst(m.Mutable(fd).List().AppendMutable().Message())
	case fd.IsList():
		m.Mutable(fd).List().Append(scalar())
	case fd.Message() != nil:
		fillFirst(m.Mutable(fd).Message())
	default:
		m.Set(fd, scalar())
	}
}

func fillFirst(m protoreflect.Message) { fill(m, m.Descriptor().Fields().Get(0)) }

// reach makes the message that holds the field at path.
func reach(m protoreflect.Message, path []string) (protoreflect.Message, protoreflect.FieldDescriptor) {
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) == 1 {
		return m, fd
	}
	if fd.IsList() {
		return reach(m.Mutable(fd).List().AppendMutable().Message(), path[1:])
	}
	return reach(m.Mutable(fd).Message(), path[1:])
}

// Each field is set alone: what the table refuses is refused by name, all else
// passes the table.
func TestRefusedFieldsAreNamed(t *testing.T) {
	for name, tab := range tables {
		for path, r := range tab.rules {
			m := tab.message.ProtoReflect().New()
			holder, fd := reach(m, strings.Split(path, "."))
			fill(holder, fd)
			err := refuse(m.Interface(), tab.rules)
			if r.verdict != Refused {
				// A message is filled with its first field, which may be refused itself.
				if err != nil && (fd.Message() == nil || fd.IsMap()) {
					t.Errorf("%s.%s is %s but: %v", name, path, r.verdict, err)
				}
				continue
			}
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(strings.ReplaceAll(err.Error(), "[0]", ""), path) || !strings.Contains(err.Error(), r.why) {
				t.Errorf("%s.%s is refused, but the error is %v", name, path, err)
			}
		}
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	m := sandboxConfig()
	m.Linux.ProtoReflect().SetUnknown([]byte{0xf8, 0x7f, 1}) // field 2047
	if err := refuse(m, sandboxRules()); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "linux.") {
		t.Errorf("unknown field: %v", err)
	}
}

// The limited ones are refused through the front door, by name.
func TestLimitedFields(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	for field, set := range map[string]func(*runtimeapi.PodSandboxConfig){
		"port_mappings[0].host_ip": func(c *runtimeapi.PodSandboxConfig) {
			c.PortMappings = []*runtimeapi.PortMapping{{HostPort: 1, ContainerPort: 1, HostIp: "x"}}
		},
		"port_mappings[0].host_port": func(c *runtimeapi.PodSandboxConfig) {
			c.PortMappings = []*runtimeapi.PortMapping{{HostPort: 70000, ContainerPort: 1}}
		},
		"port_mappings[0].protocol": func(c *runtimeapi.PodSandboxConfig) {
			c.PortMappings = []*runtimeapi.PortMapping{{HostPort: 1, ContainerPort: 1, Protocol: 9}}
		},
		`annotations["kubernetes.io/ingress-bandwidth"]`: func(c *runtimeapi.PodSandboxConfig) {
			c.Annotations = map[string]string{"kubernetes.io/ingress-bandwidth": "10"}
		},
		"linux.cgroup_parent": func(c *runtimeapi.PodSandboxConfig) { c.Linux.CgroupParent = "/a/../b" },
		"linux.security_context.namespace_options.network": func(c *runtimeapi.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_CONTAINER
		},
		"linux.security_context.namespace_options.ipc": func(c *runtimeapi.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.Ipc = runtimeapi.NamespaceMode_TARGET
		},
		"linux.security_context.namespace_options.userns_options": func(c *runtimeapi.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.UsernsOptions = &runtimeapi.UserNamespace{}
		},
		"hostname":      func(c *runtimeapi.PodSandboxConfig) { c.Hostname = strings.Repeat("h", 65) },
		"log_directory": func(c *runtimeapi.PodSandboxConfig) { c.LogDirectory = "logs" },
		"dns_config.servers": func(c *runtimeapi.PodSandboxConfig) {
			c.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"1.1.1.1\nsearch evil"}}
		},
		`linux.sysctls["net.core.somaxconn"]`: func(c *runtimeapi.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_NODE
			c.Linux.Sysctls = map[string]string{"net.core.somaxconn": "1"}
		},
		"metadata": func(c *runtimeapi.PodSandboxConfig) { c.Metadata.Uid = "" },
	} {
		c := sandboxConfig()
		set(c)
		_, err := r.RunPodSandbox(ctx, c, "")
		wantRefused(t, err, field)
	}
	sb := runSandbox(t, r)
	for field, set := range map[string]func(*runtimeapi.ContainerConfig){
		"metadata.name": func(c *runtimeapi.ContainerConfig) { c.Metadata.Name = "" },
		"image.image":   func(c *runtimeapi.ContainerConfig) { c.Image = nil },
		"log_path":      func(c *runtimeapi.ContainerConfig) { c.LogPath = "../x" },
		"stop_signal":   func(c *runtimeapi.ContainerConfig) { c.StopSignal = 99 },
		"devices[0].permissions": func(c *runtimeapi.ContainerConfig) {
			c.Devices = []*runtimeapi.Device{{HostPath: "/dev/null", Permissions: "x"}}
		},
		"mounts[0].container_path": func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/x", ContainerPath: "rel"}}
		},
		"mounts[0].recursive_read_only": func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/x", ContainerPath: "/x", RecursiveReadOnly: true}}
		},
		"linux.security_context.privileged": func(c *runtimeapi.ContainerConfig) { c.Linux.SecurityContext.Privileged = true },
		"linux.security_context.apparmor":   func(c *runtimeapi.ContainerConfig) { c.Linux.SecurityContext.Apparmor = &runtimeapi.SecurityProfile{} },
		"linux.security_context.seccomp.localhost_ref": func(c *runtimeapi.ContainerConfig) {
			c.Linux.SecurityContext.Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: "/nothing.json"}
		},
		"linux.security_context.namespace_options.target_id": func(c *runtimeapi.ContainerConfig) {
			c.Linux.SecurityContext.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_TARGET, TargetId: "none"}
		},
		"linux.security_context.capabilities.add_capabilities": func(c *runtimeapi.ContainerConfig) {
			c.Linux.SecurityContext.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"FLY"}}
		},
		"linux.resources.unified": func(c *runtimeapi.ContainerConfig) {
			c.Linux.Resources = &runtimeapi.LinuxContainerResources{Unified: map[string]string{"memory.high": "1"}}
		},
	} {
		c := containerConfig("c", "sleep")
		set(c)
		_, err := r.CreateContainer(ctx, sb, c, nil)
		wantRefused(t, err, field)
	}
	_, err := r.RunPodSandbox(ctx, sandboxConfig(), "kata")
	wantRefused(t, err, `no runtime for "kata" is configured`)
	if err := r.RemovePodSandbox(ctx, sb); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

func wantRefused(t *testing.T, err error, field string) {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), field) {
		t.Errorf("%s: %v", field, err)
	}
}

func sandboxConfig() *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "p", Namespace: "n", Uid: "u"}, Hostname: "host",
		Linux: &runtimeapi.LinuxPodSandboxConfig{CgroupParent: "/pods/u", SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
		}},
	}
}

func containerConfig(name string, words ...string) *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: &runtimeapi.ImageSpec{Image: fakeRef}, Args: words,
		Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
		}},
	}
}

func runSandbox(t testing.TB, r *Runtime) string {
	t.Helper()
	id, err := r.RunPodSandbox(context.Background(), sandboxConfig(), "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func startContainer(t testing.TB, r *Runtime, sb string, c *runtimeapi.ContainerConfig) string {
	t.Helper()
	id, err := r.CreateContainer(context.Background(), sb, c, nil)
	if err == nil {
		err = r.StartContainer(context.Background(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}
