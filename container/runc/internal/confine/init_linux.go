//go:build cgo

package confine

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/seccomp"
)

// fd is where init finds the filter: the first of libcontainer's extra files.
const fd = 3

// Arm is called in libcontainer's init before libcontainer. It does nothing in
// one that was given no filter.
func Arm() {
	filter, late, ours, err := decode(fd)
	if !ours {
		return
	}
	unix.CloseOnExec(fd)
	a := &armed{filter: filter, late: late}
	if err != nil {
		a.fail(err)
	}
	// Lines that only we wanted go no further.
	a.sink = logrus.New()
	a.sink.SetOutput(io.Discard)
	logrus.SetLevel(logrus.DebugLevel)
	logrus.AddHook(a)
}

// armed waits for libcontainer's words.
type armed struct {
	filter seccomp.Filter
	late   bool
	done   bool
	sink   *logrus.Logger
}

// Levels implements logrus.Hook.
func (a *armed) Levels() []logrus.Level { return []logrus.Level{logrus.WarnLevel, logrus.DebugLevel} }

// lastWords are what libcontainer says just before the program, in a container's
// first process and in others.
var lastWords = []string{"init: closing the pipe to signal completion", "setns_init: about to exec"}

// Fire implements logrus.Hook. It is called on the thread that logs.
func (a *armed) Fire(e *logrus.Entry) error {
	early := e.Level == logrus.WarnLevel && strings.Contains(e.Message, marker)
	if early || e.Level == logrus.DebugLevel {
		e.Logger = a.sink
	}
	if !a.done && (a.late && slices.Contains(lastWords, e.Message) || !a.late && early) {
		a.done = true
		a.install()
	}
	return nil
}

// install says that it is done before it does it, as the filter may not let it
// say so. If it cannot, the process ends.
func (a *armed) install() {
	if err := setState(fd, stateConfined); err != nil {
		a.fail(err)
	}
	err := a.filter.Install()
	if errors.Is(err, unix.EACCES) {
		err = privileged(a.filter.Install)
	}
	if err != nil {
		a.fail(err)
	}
}

// fail leaves the error to the supervisor.
func (a *armed) fail(err error) {
	text := []byte(err.Error())
	_, _ = unix.Pwrite(fd, text[:min(len(text), maxText)], textOffset(len(a.filter.Program)))
	_ = setState(fd, stateFailed)
	os.Exit(1)
}

// privileged runs f with the capabilities that this thread may have, for a user
// who kept but does not use them.
func privileged(f func() error) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have, use [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	use = have
	for i := range use {
		use[i].Effective = use[i].Permitted
	}
	if err := unix.Capset(&head, &use[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	err := f()
	return errors.Join(err, os.NewSyscallError("capset", unix.Capset(&head, &have[0])))
}
