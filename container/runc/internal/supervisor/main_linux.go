//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/internal/sys"
)

// Main is the supervisor process. It returns its exit status. state is not empty
// in a program that another one has executed in its place; see kept.
func Main(config, state string) int {
	cfg, err := boot.Parse(config)
	start := starting{upgraded: state != ""}
	if err == nil && start.upgraded {
		// Without the state it is as if this process had just been started.
		start.kept, _ = inherit(state)
	}
	if err == nil {
		err = run(cfg, start)
	}
	if err == nil {
		return 0
	}
	start.tell(err)
	return 1
}

// starting is how the process begins.
type starting struct {
	upgraded bool
	kept     *kept
}

// tell answers the agent that started or upgraded us: nil is ready.
func (t starting) tell(err error) {
	if t.kept != nil {
		tellAsker(t.kept.Asker, err)
		return
	}
	if t.upgraded {
		return
	}
	word := boot.Ready
	if errors.Is(err, unix.EWOULDBLOCK) {
		word = boot.Already
	} else if err != nil {
		word = err.Error()
	}
	_, _ = unix.Write(boot.ReadyFD, []byte(word))
	unix.Close(boot.ReadyFD)
}

const gcPercent = 50

func run(cfg boot.Config, start starting) error {
	// It allocates in bursts, at starts, and then idles for days: a small heap is
	// worth more collections.
	debug.SetGCPercent(gcPercent)
	if err := start.settleIn(); err != nil {
		return err
	}
	place, err := sys.Occupy(cfg.Run, 0o700)
	if err != nil {
		return err
	}
	defer place.Leave(cfg.CleanUp)
	sys.Spread(cfg.Run)
	alive, err := start.lockAlive(cfg)
	if err != nil {
		return err
	}
	defer alive.Close()
	if f, err := os.OpenFile(cfg.Crash(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err == nil {
		_ = debug.SetCrashOutput(f, debug.CrashOptions{})
		f.Close()
	}
	for _, dir := range []string{cfg.Containers(), cfg.State()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		sys.Spread(dir)
	}
	if !start.upgraded {
		if err := joinCgroup(cfg.CgroupRoot); err != nil {
			return err
		}
	}
	s, err := newSupervisor(cfg)
	if err != nil {
		return err
	}
	s.alive = alive
	go s.poll.run()
	// What is our child already is not to be reaped before it is known.
	if err := s.reap.during(func() error { return s.takeOver(start.kept) }); err != nil {
		return err
	}
	go s.reap.run()
	if err := s.open(start); err != nil {
		return err
	}
	<-s.quit
	s.listener.Close() // removes the socket
	leaveCgroup(cfg.CgroupRoot)
	return nil
}

// open serves agents.
func (s *Supervisor) open(start starting) error {
	if start.kept == nil {
		if err := s.listen(); err != nil {
			return err
		}
	}
	go s.accept()
	if start.kept != nil {
		s.thaw()
		s.upgradeEnds()
	}
	s.mu.Lock()
	s.considerIdle()
	s.mu.Unlock()
	start.tell(nil)
	return nil
}

// lockAlive locks what says that a supervisor lives, or keeps it locked.
func (t starting) lockAlive(cfg boot.Config) (*os.File, error) {
	if t.kept != nil {
		unix.Close(t.kept.Place) // we have it now
		return os.NewFile(uintptr(t.kept.Alive), cfg.Alive()), nil
	}
	f, err := tryLock(cfg.Alive())
	if err != nil {
		return nil, err
	}
	if err := notePid(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// notePid lets people see which process it is.
func notePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// initThreads is a variable that libcontainer hands down to its inits. They do one
// thing at a time, and are quicker without threads for more.
const initThreads = "GOMAXPROCS"

// settleIn makes the process one of its own, whatever started it.
func (t starting) settleIn() error {
	failpoint := os.Getenv(sys.FailpointEnv)
	os.Clearenv()
	if failpoint != "" {
		os.Setenv(sys.FailpointEnv, failpoint)
	}
	os.Setenv(initThreads, "1")
	runtime.GOMAXPROCS(runtime.NumCPU()) // said so, it is not looked up again and again at rest
	_ = nameProcess(processName)
	unix.Umask(0o022)
	if err := os.Chdir("/"); err != nil {
		return err
	}
	t.closeInherited()
	lowerOOMScore()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// processName is what ps and the like show, whatever the program's file is called,
// and where it was executed by its descriptor. The kernel cuts it to 15 characters.
const processName = "lifepod-supervisor"

// nameProcess names the calling thread, and the process if that is its first one,
// to which Go keeps while it initialises packages.
func nameProcess(name string) error {
	b, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0)
}

// closeInherited closes what an agent's other code, or a state that could not be
// read, left open for us. Our own descriptors are marked close-on-exec.
func (t starting) closeInherited() {
	last := boot.ReadyFD
	if t.upgraded {
		last = unix.Stderr
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	if !t.upgraded {
		unix.CloseOnExec(boot.ReadyFD)
	}
}

// lowerOOMScore goes as low as we may.
func lowerOOMScore() {
	for _, score := range []string{"-999", "0"} {
		if ownOOMScore() == 0 && score == "0" {
			return
		}
		if os.WriteFile("/proc/self/oom_score_adj", []byte(score), 0) == nil {
			return
		}
	}
}

// exeIsFile tells whether the program's path still names it, and will.
func exeIsFile() bool {
	p, err := os.Readlink("/proc/self/exe")
	if err != nil || strings.Contains(p, "/go-build") && strings.Contains(p, "/exe/") {
		return false // of go run, which deletes it
	}
	var self, file unix.Stat_t
	return unix.Stat("/proc/self/exe", &self) == nil && unix.Stat(p, &file) == nil &&
		self.Dev == file.Dev && self.Ino == file.Ino
}
