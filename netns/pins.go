package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Kinds is a set of namespaces.
type Kinds uint8

// The kinds that [Create] can pin.
const (
	Net Kinds = 1 << iota
	IPC
	UTS
	User
)

// Options say what a new set of namespaces starts with. The zero value gives
// what the kernel gives, with loopback up.
type Options struct {
	// Hostname is set in the UTS namespace; empty leaves it. It needs UTS.
	Hostname string
	// Sysctls are written inside, in the order of their names, which may be
	// separated by dots or slashes: net.* needs Net, kernel.* and fs.mqueue.*
	// need IPC. Which of them a pod may set is for the caller to decide.
	Sysctls map[string]string
	// UIDs and GIDs map the user namespace. They need User, and User needs them.
	UIDs, GIDs []IDMap
}

// IDMap maps Size ids from Inside to Outside.
type IDMap struct{ Inside, Outside, Size uint32 }

// Pins are the files that hold namespaces; empty for kinds that are not pinned.
type Pins struct{ Net, IPC, UTS, User string }

// ErrNotNamespace is in the error of [Do] and [Valid] for a path that exists
// but holds no namespace of that kind: a pin whose mount is gone, say.
var ErrNotNamespace = errors.New("not a namespace")

// files names the pin of each kind, in the order in which they are made: the
// user namespace first, since it owns the others.
var files = []struct {
	kind Kinds
	name string
}{{User, "user"}, {Net, "net"}, {IPC, "ipc"}, {UTS, "uts"}}

// Paths says where [Create] pins kinds under dir.
func Paths(dir string, kinds Kinds) Pins {
	var p Pins
	for _, f := range files {
		if kinds&f.kind != 0 {
			*p.of(f.kind) = filepath.Join(dir, f.name)
		}
	}
	return p
}

func (p *Pins) of(k Kinds) *string {
	switch k {
	case Net:
		return &p.Net
	case IPC:
		return &p.IPC
	case UTS:
		return &p.UTS
	}
	return &p.User
}

// check refuses options that would have no effect.
func (o Options) check(kinds Kinds) error {
	switch {
	case kinds == 0 || kinds&^(Net|IPC|UTS|User) != 0:
		return fmt.Errorf("namespace kinds %#x: name at least one of Net, IPC, UTS, User", uint8(kinds))
	case o.Hostname != "" && kinds&UTS == 0:
		return fmt.Errorf("hostname %q needs a UTS namespace of its own", o.Hostname)
	case len(o.Hostname) > 64:
		return fmt.Errorf("hostname %q has %d characters, the kernel takes 64", o.Hostname, len(o.Hostname))
	case (len(o.UIDs) > 0) != (kinds&User != 0) || (len(o.GIDs) > 0) != (kinds&User != 0):
		return errors.New("id maps go with a user namespace: give both UIDs and GIDs and ask for User, or none of them")
	}
	for name := range o.Sysctls {
		if _, err := sysctlFile(name, kinds); err != nil {
			return err
		}
	}
	return nil
}

// made tells whether dir exists and is a directory that a pin may lie in.
func made(dir string) (bool, error) {
	fi, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil && !fi.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	return err == nil, err
}
