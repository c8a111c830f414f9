//go:build linux && cgo

package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// open is n descriptors that are open until the test's end.
func open(t testing.TB, n int) []int {
	var fds []int
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		fds = append(fds, rawFd(f))
	}
	return fds
}

// someKept has everything that a state can have.
func someKept(t testing.TB) *kept {
	fd := open(t, 14)
	return &kept{
		Version: stateVersion, Place: fd[0], Alive: fd[1], Listener: fd[2], Asker: fd[3], Greeting: fd[4:5],
		Conns: []keptConn{{Fd: fd[5], Version: wire.Version, Lost: true, Calls: []keptCall{
			{ID: 7, Container: "a", Exec: &keptExec{Pid: 12, Pidfd: fd[6]}, Cancelled: true},
			{ID: 8, Container: "b", Attach: &wire.Attach{}, Files: []int{fd[7], -1}},
		}}},
		Ctrs: []keptCtr{
			{ID: "a", State: container.State{ID: "a", Status: container.Running, Pid: 9}, Child: true, Pidfd: fd[8],
				Log:         crilog.Kept{Path: "/l", Fd: fd[9], Dropped: 3},
				keptStreams: keptStreams{Stdin: fd[10], TTY: -1, Stdout: fd[11], Stderr: fd[12], Watched: true}},
			{ID: "b", State: container.State{ID: "b", Status: container.Created, Pid: 10}, Child: true, Pidfd: -1, Log: crilog.Kept{Fd: -1},
				keptStreams: keptStreams{Stdin: -1, TTY: fd[13], Stdout: fd[13], Stderr: -1}},
		},
	}
}

func encoded(t testing.TB, k *kept) []byte {
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What one program keeps is what the next one reads.
func TestKeptTravels(t *testing.T) {
	k := someKept(t)
	var got kept
	if err := readKept(bytes.NewReader(encoded(t, k)), &got); err != nil || !reflect.DeepEqual(&got, k) {
		t.Errorf("%+v, %v, want %+v", got, err, k)
	}
}

// A state that cannot be right is refused, and says why.
func TestKeptRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*kept)
		want   string
	}{
		"an older version":              {func(k *kept) { k.Version = 0 }, "the state is of version 0"},
		"a newer version":               {func(k *kept) { k.Version = stateVersion + 1 }, "this program knows version"},
		"no lock":                       {func(k *kept) { k.Alive = -1 }, "lacks a descriptor"},
		"no listener":                   {func(k *kept) { k.Listener = -1 }, "lacks a descriptor"},
		"a container without an id":     {func(k *kept) { k.Ctrs[0].ID = "" }, `of id ""`},
		"a container elsewhere":         {func(k *kept) { k.Ctrs[1].ID = "../b" }, `of id "../b"`},
		"a descriptor of the process":   {func(k *kept) { k.Ctrs[0].Stdin = 0 }, "descriptor 0, which is not open"},
		"a closed log":                  {func(k *kept) { k.Ctrs[0].Log.Fd = 1 << 20 }, "descriptor 1048576, which is not open"},
		"a closed pidfd of an exec":     {func(k *kept) { k.Conns[0].Calls[0].Exec.Pidfd = 1 << 20 }, "which is not open"},
		"a closed output":               {func(k *kept) { k.Conns[0].Calls[1].Files[0] = 1 << 20 }, "which is not open"},
		"a connection that is two":      {func(k *kept) { k.Greeting[0] = k.Asker }, "twice"},
		"a terminal that is also stdin": {func(k *kept) { k.Ctrs[1].Stdin = k.Ctrs[1].TTY }, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			k := someKept(t)
			c.change(k)
			if err := readKept(bytes.NewReader(encoded(t, k)), &kept{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "{", "[]", "null", `{"version":"1"}`} {
		if err := readKept(strings.NewReader(text), &kept{}); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// Whatever the bytes are, what is read from them names no descriptor that is not
// open, none of the process's own, and none twice.
func FuzzKept(f *testing.F) {
	f.Add(encoded(f, someKept(f)))
	f.Add([]byte(`{"version":1,"place":3,"alive":4,"listener":5,"asker":6,"containers":[{"id":"a","tty":7,"stdout":7}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k kept
		if readKept(bytes.NewReader(b), &k) != nil {
			return
		}
		seen := map[int]bool{}
		for _, fd := range k.descriptors() {
			if _, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil || fd < 3 || seen[fd] {
				t.Errorf("descriptor %d was accepted: %v", fd, err)
			}
			seen[fd] = true
		}
		var again kept
		if err := readKept(bytes.NewReader(encoded(t, &k)), &again); err != nil {
			t.Errorf("it cannot be read again: %v", err)
		}
	})
}
