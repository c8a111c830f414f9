package ocispec

import (
	"path"
	"slices"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Args merges the image's Entrypoint and Cmd with the container's command and
// args: a command replaces both, args alone replace Cmd.
func Args(c *runtimeapi.ContainerConfig, img imagespec.ImageConfig) ([]string, error) {
	command, args := c.GetCommand(), c.GetArgs()
	if len(command) == 0 {
		if len(args) == 0 {
			args = img.Cmd
		}
		if len(img.Entrypoint) != 1 || img.Entrypoint[0] != "" {
			command = img.Entrypoint
		}
	}
	if len(command)+len(args) == 0 {
		return nil, &FieldError{"command", "no command specified"}
	}
	all := slices.Concat(command, args)
	for _, a := range all {
		if strings.ContainsRune(a, 0) {
			return nil, &FieldError{"command", "an argument holds a NUL byte"}
		}
	}
	return all, nil
}

// Cwd is the working directory; the runtime creates it if it is absent.
func Cwd(c *runtimeapi.ContainerConfig, img imagespec.ImageConfig) string {
	dir := c.GetWorkingDir()
	if dir == "" {
		dir = img.WorkingDir
	}
	return path.Join("/", dir)
}

// DefaultPath is PATH where neither image nor container set one.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func environment(in Input, s *specs.Spec) error {
	hostname := in.Sandbox.GetHostname()
	if hostname == "" {
		hostname = in.Host.Hostname
	}
	e := env{at: map[string]int{}}
	e.set("PATH=" + DefaultPath)
	if in.Container.GetTty() {
		e.set("TERM=xterm")
	}
	e.set("HOSTNAME=" + hostname)
	for _, kv := range in.Image.Env {
		e.set(kv)
	}
	for _, kv := range in.Container.GetEnvs() {
		text := kv.GetKey() + "=" + string(kv.GetValue())
		if kv.GetKey() == "" || strings.ContainsAny(kv.GetKey(), "=\x00") || strings.ContainsRune(text, 0) {
			return &FieldError{"envs", "the variable " + kv.GetKey() + " has an empty name, or holds '=' or a NUL byte in it"}
		}
		e.set(text)
	}
	s.Process.Env = e.list
	return nil
}

// env keeps the first place and the last value of each variable.
type env struct {
	list []string
	at   map[string]int
}

// set ignores an image's entry without '=': it names a variable to leave unset.
func (e *env) set(kv string) {
	k, _, ok := strings.Cut(kv, "=")
	if !ok || k == "" {
		return
	}
	if i, had := e.at[k]; had {
		e.list[i] = kv
		return
	}
	e.at[k] = len(e.list)
	e.list = append(e.list, kv)
}
