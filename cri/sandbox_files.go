package cri

import (
	"errors"
	"os"
	"strings"

	"github.com/lifepod/lifepod/cri/ocispec"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// writeFiles makes what all containers of the pod see: hostname, hosts and
// resolv.conf, and the shared memory.
func (r *Runtime) writeFiles(s *sandbox) error {
	hostname := s.Config.GetHostname()
	if hostname == "" {
		hostname = r.host.Hostname
	}
	err := errors.Join(
		r.writeFile(s, fileHostname, []byte(hostname+"\n")),
		r.copyFile(s, fileHosts, "/etc/hosts"),
		r.writeResolv(s),
	)
	if err != nil || hostIPC(s.Config) {
		return wrap(err, "write the pod's files")
	}
	shm := r.sandboxes.path(s.ID, dirShm)
	if err := os.Mkdir(shm, 0o700); err != nil {
		return wrap(err, "make the pod's /dev/shm")
	}
	return wrap(r.machine.mountShm(shm), "make the pod's /dev/shm")
}

// writeResolv writes what the message says; a message without DNS means the
// node's.
func (r *Runtime) writeResolv(s *sandbox) error {
	d := s.Config.GetDnsConfig()
	if d == nil {
		return r.copyFile(s, fileResolv, "/etc/resolv.conf")
	}
	var b strings.Builder
	if len(d.GetSearches()) > 0 {
		b.WriteString("search " + strings.Join(d.GetSearches(), " ") + "\n")
	}
	for _, server := range d.GetServers() {
		b.WriteString("nameserver " + server + "\n")
	}
	if len(d.GetOptions()) > 0 {
		b.WriteString("options " + strings.Join(d.GetOptions(), " ") + "\n")
	}
	return r.writeFile(s, fileResolv, []byte(b.String()))
}

// copyFile copies one of the node's files, if there is one.
func (r *Runtime) copyFile(s *sandbox, name, from string) error {
	b, err := os.ReadFile(from)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return r.writeFile(s, name, b)
}

// writeFile needs no rename: nobody reads before the sandbox is made.
func (r *Runtime) writeFile(s *sandbox, name string, b []byte) error {
	path := r.sandboxes.path(s.ID, name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // whatever the umask: containers of any user read it
}

// files are the paths to bind into the containers of s.
func (r *Runtime) files(s *sandbox) ocispec.Files {
	f := ocispec.Files{
		Hostname:   r.sandboxes.path(s.ID, fileHostname),
		Hosts:      r.sandboxes.path(s.ID, fileHosts),
		ResolvConf: r.sandboxes.path(s.ID, fileResolv),
		Shm:        r.sandboxes.path(s.ID, dirShm),
	}
	if hostIPC(s.Config) {
		f.Shm = "/dev/shm"
	}
	return f
}

func hostIPC(c *runtimeapi.PodSandboxConfig) bool {
	return c.GetLinux().GetSecurityContext().GetNamespaceOptions().GetIpc() == runtimeapi.NamespaceMode_NODE
}

func hostNetwork(c *runtimeapi.PodSandboxConfig) bool {
	return c.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() == runtimeapi.NamespaceMode_NODE
}
