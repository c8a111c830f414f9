package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
)

// callTimeout bounds a CRI call; readyTimeout the start of the daemon.
const (
	callTimeout  = 2 * time.Minute
	readyTimeout = time.Minute
)

// Daemon is a containerd that runs.
type Daemon struct {
	Runtime internalapi.RuntimeService
	Images  internalapi.ImageManagerService

	o       Options
	cmd     *exec.Cmd
	exited  chan struct{} // of cmd
	logFile *os.File
}

// Start runs containerd until Close. It returns when the CRI answers and its
// network is ready.
func Start(ctx context.Context, o Options) (_ *Daemon, err error) {
	if o.State == "" {
		o.State = filepath.Join(o.Dir, "state")
	}
	if err := o.configure(); err != nil {
		return nil, fmt.Errorf("configure containerd: %w", err)
	}
	d := &Daemon{o: o}
	if d.logFile, err = os.Create(filepath.Join(o.Dir, "containerd.log")); err != nil {
		return nil, err
	}
	if err := d.Up(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Up starts the daemon again after Kill; the services go on working.
func (d *Daemon) Up(ctx context.Context) error {
	d.cmd = exec.Command(filepath.Join(d.o.Binaries, "containerd"), "--config", filepath.Join(d.o.Dir, "config.toml")) //nolint:noctx // Close ends it
	d.cmd.Stdout, d.cmd.Stderr = d.logFile, d.logFile
	d.cmd.Env = append(os.Environ(), "PATH="+d.o.Binaries+":"+os.Getenv("PATH"))
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(d.cmd, d.exited)
	if err := d.connect(ctx); err != nil {
		return fmt.Errorf("connect to containerd: %w; it said:\n%s", err, d.Log())
	}
	return nil
}

// Kill ends the daemon at once; containers go on without it.
func (d *Daemon) Kill() error {
	err := d.cmd.Process.Kill()
	<-d.exited
	return err
}

// connect waits for the daemon's services.
func (d *Daemon) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	endpoint := "unix://" + filepath.Join(d.o.Dir, "containerd.sock")
	for {
		err := d.dial(ctx, endpoint)
		if err == nil {
			return nil
		}
		select {
		case <-d.exited:
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *Daemon) dial(ctx context.Context, endpoint string) error {
	if _, err := os.Stat(strings.TrimPrefix(endpoint, "unix://")); err != nil {
		return err
	}
	if d.Runtime == nil {
		rt, err := remote.NewRemoteRuntimeServiceBuilder().WithEndpoint(endpoint).WithConnectionTimeout(callTimeout).Build(ctx)
		if err != nil {
			return err
		}
		d.Runtime = rt
	}
	if d.Images == nil {
		images, err := remote.NewRemoteImageServiceBuilder().WithEndpoint(endpoint).WithConnectionTimeout(callTimeout).Build(ctx)
		if err != nil {
			return err
		}
		d.Images = images
	}
	st, err := d.Runtime.Status(ctx, false)
	if err != nil {
		return err
	}
	for _, c := range st.GetStatus().GetConditions() {
		if needed := c.GetType() == runtimeapi.RuntimeReady || c.GetType() == runtimeapi.NetworkReady; needed && !c.GetStatus() {
			return fmt.Errorf("%s is false: %s: %s", c.GetType(), c.GetReason(), c.GetMessage())
		}
	}
	return nil
}

// Dir is where it keeps everything.
func (d *Daemon) Dir() string { return d.o.Dir }

// Pid is the daemon's process.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Log is what the daemon has written so far.
func (d *Daemon) Log() string {
	b, err := os.ReadFile(d.logFile.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Close ends the daemon; containers that still run go on without it.
func (d *Daemon) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	if d.Runtime != nil {
		err = d.Runtime.Close(ctx)
	}
	if d.Images != nil {
		err = errors.Join(err, d.Images.Close(ctx))
	}
	if d.cmd != nil && d.cmd.Process != nil {
		err = errors.Join(err, d.end(ctx))
	}
	return errors.Join(err, d.logFile.Close())
}

func (d *Daemon) end(ctx context.Context) error {
	err := d.cmd.Process.Signal(unix.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-d.exited:
		return err
	case <-ctx.Done():
		return errors.Join(err, errors.New("containerd did not end"), d.Kill())
	}
}
