package containerd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Options say where things are. All are required but Mirrors and State.
type Options struct {
	// Dir is an empty directory for everything that containerd keeps. Its path
	// must be short: a socket lies in it.
	Dir string
	// State is for what dies with the boot. Empty means Dir/state.
	State string
	// Binaries holds containerd and containerd-shim-runc-v2, Plugins the CNI
	// plugins bridge, host-local, loopback and portmap; Runc is the path of runc.
	Binaries, Plugins, Runc string
	// Mirrors are the addresses of plain HTTP registries by the names that images
	// have for them.
	Mirrors map[string]string
}

// Find fills in what hack/peers has built for the module at the given directory,
// and runc from PATH. Its error says what is missing and how to get it.
func Find(module string) (Options, error) {
	cache, err := filepath.Abs(filepath.Join(module, ".cache"))
	if err != nil {
		return Options{}, err
	}
	o := Options{Binaries: filepath.Join(cache, "peers"), Plugins: filepath.Join(cache, "cni")}
	for _, f := range []string{o.Pause(), o.Binaries + "/containerd", o.Binaries + "/containerd-shim-runc-v2", o.Plugins + "/bridge"} {
		if _, err := os.Stat(f); err != nil {
			return Options{}, fmt.Errorf("%w: build it by hack/peers", err)
		}
	}
	if o.Runc, err = exec.LookPath("runc"); err != nil {
		return Options{}, fmt.Errorf("%w: install Debian's package runc", err)
	}
	return o, nil
}

// Pause is the path of the program for [SandboxImage].
func (o Options) Pause() string { return filepath.Join(o.Binaries, "pause") }
