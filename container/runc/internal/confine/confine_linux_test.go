//go:build cgo

package confine

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container/seccomp"
	"github.com/lifepod/lifepod/internal/sys"
)

func someFilter(t *testing.T) seccomp.Filter {
	t.Helper()
	f, err := seccomp.Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActErrno}}}, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func prepare(t *testing.T, p *libcontainer.Process) *Handover {
	t.Helper()
	h, err := Prepare(p, someFilter(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// What init reads is what the supervisor wrote, and when to install it.
func TestHandover(t *testing.T) {
	yes, no := true, false
	caps := &configs.Capabilities{Bounding: make([]string, 0, 5)}
	for name, c := range map[string]struct {
		p    libcontainer.Process
		late bool
	}{
		"privileges to drop": {libcontainer.Process{Capabilities: caps, NoNewPrivileges: &no}, false},
		"no word on them":    {libcontainer.Process{Capabilities: caps}, false},
		"no_new_privs":       {libcontainer.Process{Capabilities: caps, NoNewPrivileges: &yes}, true},
		"nothing to drop":    {libcontainer.Process{}, true},
	} {
		h := prepare(t, &c.p)
		f, late, ours, err := decode(int(h.file.Fd()))
		if err != nil || !ours || late != c.late || !reflect.DeepEqual(f, someFilter(t)) {
			t.Errorf("%s: %v late %v ours %v: %v", name, f, late, ours, err)
		}
		marked := c.p.Capabilities != nil && len(c.p.Capabilities.Bounding) == 1 && c.p.Capabilities.Bounding[0] == marker
		if marked == c.late || len(caps.Bounding) != 0 {
			t.Errorf("%s: capabilities are %v", name, c.p.Capabilities)
		}
	}
	if _, err := Prepare(&libcontainer.Process{ExtraFiles: []*os.File{os.Stdin}}, someFilter(t)); err == nil {
		t.Error("a process with a file of its own was taken")
	}
}

// A start is good only if the process said that it is confined.
func TestCheck(t *testing.T) {
	h := prepare(t, &libcontainer.Process{})
	if err := h.Check(nil); err == nil || !strings.Contains(err.Error(), "did not install it") {
		t.Errorf("of a process that said nothing: %v", err)
	}
	other := errors.New("another reason")
	if err := h.Check(other); !errors.Is(err, other) {
		t.Errorf("of a start that failed: %v", err)
	}
	if err := setState(int(h.file.Fd()), stateConfined); err != nil {
		t.Fatal(err)
	}
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
	if _, err := h.file.WriteAt([]byte("it rains"), h.text); err != nil {
		t.Fatal(err)
	}
	if err := setState(int(h.file.Fd()), stateFailed); err != nil {
		t.Fatal(err)
	}
	if err := h.Check(other); err == nil || err.Error() != "apply the seccomp profile: it rains" {
		t.Errorf("of a process that could not: %v", err)
	}
}

// Another process's descriptor 3 is left alone; a filter that is cut off is not.
func TestDecode(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, _, ours, err := decode(int(r.Fd())); ours || err != nil {
		t.Errorf("a pipe: %v %v", ours, err)
	}
	body := encode(someFilter(t), false)
	for n := range len(body) {
		f, err := sys.Memfd("filter", body[:n])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ours, err := decode(int(f.Fd())); ours != (n >= headerSize) || ours != (err != nil) {
			t.Errorf("%d bytes: %v %v", n, ours, err)
		}
		f.Close()
	}
}
