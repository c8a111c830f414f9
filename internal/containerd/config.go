package containerd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// Elsewhere is the directory outside of Options.Dir and /run that the CNI plugins
// write to, without a setting.
const Elsewhere = "/var/lib"

// SandboxImage is the image of the sandboxes' process.
const SandboxImage = "demo.lifepod.example/pause:v1"

var config = template.Must(template.New("config.toml").Parse(`version = 3
root = "{{.Dir}}/root"
state = "{{.State}}"
temp = "{{.Dir}}/temp"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[debug]
level = "warn"
[grpc]
address = "{{.Dir}}/containerd.sock"
[ttrpc]
address = "{{.Dir}}/ttrpc.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{{.Dir}}/opt"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "` + SandboxImage + `"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{{.Dir}}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true
cdi_spec_dirs = []
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{{.Plugins}}"]
conf_dir = "{{.Dir}}/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = "{{.Runc}}"
`))

// Conflist is the usual chain of CNI plugins for a network of the given name,
// whose bridge and address range are no one else's in the network namespace that
// it is used in. It keeps addresses below dir.
func Conflist(dir, name, bridge, subnet string) []byte {
	return fmt.Appendf(nil, `{
  "cniVersion": "1.0.0", "name": %q,
  "plugins": [
    {"type": "bridge", "bridge": %q, "isGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "dataDir": %q,
              "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, name, bridge, filepath.Join(dir, "addresses"), subnet)
}

// configure writes all configuration below o.Dir.
func (o Options) configure() error {
	var b bytes.Buffer
	if err := config.Execute(&b, o); err != nil {
		return err
	}
	if err := write(filepath.Join(o.Dir, "config.toml"), b.Bytes()); err != nil {
		return err
	}
	chain := Conflist(o.Dir, "peer", "peer0", "10.88.0.0/16")
	if err := write(filepath.Join(o.Dir, "net.d", "10-peer.conflist"), chain); err != nil {
		return err
	}
	for registry, addr := range o.Mirrors {
		text := fmt.Sprintf("server = \"http://%s\"\n[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", addr, addr)
		if err := write(filepath.Join(o.Dir, "certs.d", registry, "hosts.toml"), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
