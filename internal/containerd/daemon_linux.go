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

	dir     string
	cmd     *exec.Cmd
	logFile *os.File
	exited  chan error
}

// Start runs containerd until Close. It returns when the CRI answers and its
// network is ready.
func Start(ctx context.Context, o Options) (_ *Daemon, err error) {
	if err := o.configure(); err != nil {
		return nil, fmt.Errorf("configure containerd: %w", err)
	}
	d := &Daemon{dir: o.Dir, exited: make(chan error, 1)}
	if d.logFile, err = os.Create(filepath.Join(o.Dir, "containerd.log")); err != nil {
		return nil, err
	}
	d.cmd = exec.Command(filepath.Join(o.Binaries, "containerd"), "--config", filepath.Join(o.Dir, "config.toml")) //nolint:noctx // Close ends it
	d.cmd.Stdout, d.cmd.Stderr = d.logFile, d.logFile
	d.cmd.Env = append(os.Environ(), "PATH="+o.Binaries+":"+os.Getenv("PATH"))
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start containerd: %w", err), d.logFile.Close())
	}
	go func() { d.exited <- d.cmd.Wait() }()
	if err := d.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to containerd: %w; it said:\n%s", err, d.Log()), d.Close())
	}
	return d, nil
}

// connect waits for the daemon's services.
func (d *Daemon) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	endpoint := "unix://" + filepath.Join(d.dir, "containerd.sock")
	for {
		err := d.dial(ctx, endpoint)
		if err == nil {
			return nil
		}
		select {
		case exit := <-d.exited:
			d.exited <- exit
			return fmt.Errorf("it ended: %w", errors.Join(exit, err))
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
func (d *Daemon) Dir() string { return d.dir }

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
	err = errors.Join(err, d.cmd.Process.Signal(unix.SIGTERM))
	select {
	case <-d.exited:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("containerd did not end"), d.cmd.Process.Kill())
		<-d.exited
	}
	return errors.Join(err, d.logFile.Close())
}
