//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/internal/sys"
)

// Main is the supervisor process. It returns its exit status.
func Main(config string) int {
	cfg, err := boot.Parse(config)
	if err == nil {
		err = run(cfg)
	}
	if err == nil {
		return 0
	}
	text := err.Error()
	if errors.Is(err, unix.EWOULDBLOCK) {
		text = boot.Already
	}
	tell(text)
	return 1
}

// tell answers the agent that started us.
func tell(word string) {
	_, _ = unix.Write(boot.ReadyFD, []byte(word))
	unix.Close(boot.ReadyFD)
}

const gcPercent = 50

func run(cfg boot.Config) error {
	// It allocates in bursts, at starts, and then idles for days: a small heap is
	// worth more collections.
	debug.SetGCPercent(gcPercent)
	if err := settleIn(); err != nil {
		return err
	}
	place, err := sys.Occupy(cfg.Run, 0o700)
	if err != nil {
		return err
	}
	defer place.Leave(cfg.CleanUp)
	alive, err := tryLock(cfg.Alive())
	if err != nil {
		return err
	}
	defer alive.Close()
	if err := notePid(alive); err != nil {
		return err
	}
	if f, err := os.OpenFile(cfg.Crash(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err == nil {
		_ = debug.SetCrashOutput(f, debug.CrashOptions{})
		f.Close()
	}
	for _, dir := range []string{cfg.Containers(), cfg.State()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := joinCgroup(cfg.CgroupRoot); err != nil {
		return err
	}
	s, err := newSupervisor(cfg)
	if err != nil {
		return err
	}
	go s.reap.run()
	go s.poll.run()
	if err := s.takeOver(); err != nil {
		return err
	}
	l, err := s.listen()
	if err != nil {
		return err
	}
	go s.accept(l)
	s.mu.Lock()
	s.considerIdle()
	s.mu.Unlock()
	tell(boot.Ready)
	<-s.quit
	l.Close() // removes the socket
	leaveCgroup(cfg.CgroupRoot)
	return nil
}

// notePid lets people see which process it is.
func notePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// settleIn makes the process one of its own, whatever started it.
func settleIn() error {
	failpoint := os.Getenv(sys.FailpointEnv)
	os.Clearenv()
	if failpoint != "" {
		os.Setenv(sys.FailpointEnv, failpoint)
	}
	unix.Umask(0o022)
	if err := os.Chdir("/"); err != nil {
		return err
	}
	closeInherited()
	lowerOOMScore()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// closeInherited closes what an agent's other code left open for us. Our own
// runtime's descriptors are marked close-on-exec.
func closeInherited() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= boot.ReadyFD {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	unix.CloseOnExec(boot.ReadyFD)
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
