package runc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectSpawn = sys.NewEffect("container/supervisor")

// spawnTimeout is how long a supervisor may take until it listens; it takes up
// containers first.
const spawnTimeout = time.Minute

// spawn starts a supervisor and returns when it listens. The start lock is held.
func (r *Runtime) spawn(ctx context.Context) error {
	program, err := r.program()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := exec.Command(program) //nolint:noctx // it outlives every context
	cmd.Args = []string{"lifepod-supervisor", r.cfg.Run}
	cmd.Dir = "/"
	cmd.Env = []string{boot.ConfigEnv + "=" + r.cfg.String(), boot.DetachEnv + "=1"}
	if f := os.Getenv(boot.FailpointEnv); f != "" {
		cmd.Env = append(cmd.Env, sys.FailpointEnv+"="+f)
	}
	cmd.ExtraFiles = []*os.File{out}
	err = effectSpawn.Do(cmd.Run) // it leaves us at once, and its first process ends
	out.Close()
	if err != nil {
		return fmt.Errorf("start the supervisor %s: %w", program, err)
	}
	return awaitReady(ctx, in, program)
}

func awaitReady(ctx context.Context, in *os.File, program string) error {
	if err := in.SetReadDeadline(time.Now().Add(spawnTimeout)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = in.SetReadDeadline(time.Unix(1, 0)) })()
	word, err := io.ReadAll(io.LimitReader(in, 64<<10))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("wait for the supervisor %s: %w", program, err)
	case string(word) == boot.Ready:
		return nil
	case string(word) == boot.Already:
		return errTryAgain
	case len(word) == 0:
		return fmt.Errorf("the supervisor %s ended before it was ready: is it the program of this version of lifepod?", program)
	}
	return fmt.Errorf("start the supervisor: %s", word)
}

// program finds what to execute as the supervisor.
func (r *Runtime) program() (string, error) {
	if p := r.opts.Supervisor; p != "" {
		return p, executable(p)
	}
	if self, err := os.Executable(); err == nil {
		dir := filepath.Dir(self)
		for _, p := range []string{
			filepath.Join(dir, "lifepod-supervisor"),
			filepath.Join(dir, "..", "libexec", "lifepod-supervisor"),
		} {
			if executable(p) == nil {
				return p, nil
			}
		}
	}
	return "/proc/self/exe", boot.Hook()
}

func executable(p string) error {
	fi, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", p)
	}
	return nil
}

// checkPrivate refuses a run directory in which another user could put a socket.
func checkPrivate(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("look at run directory %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != uint32(os.Geteuid()) || st.Mode&0o022 != 0 {
		return fmt.Errorf("run directory %s must be a directory of uid %d that others cannot write", dir, os.Geteuid())
	}
	return nil
}

// lockFile locks the file at path, waiting for others.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		var lerr error
		if err := raw.Control(func(fd uintptr) { lerr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
			lerr = err
		}
		if lerr == nil {
			return f, nil
		}
		if !errors.Is(lerr, unix.EWOULDBLOCK) && !errors.Is(lerr, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, lerr)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}
