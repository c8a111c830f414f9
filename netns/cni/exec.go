package cni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
)

var effectExec = sys.NewEffect("cni/exec")

// plugins starts plugins in the namespace that plays the host. It takes no more
// from them than mostOutput, and ends them with all their children when ctx ends.
type plugins struct {
	version.PluginDecoder
	host string
}

var _ invoke.Exec = (*plugins)(nil)

const mostOutput = 1 << 20

// ExecPlugin runs one plugin once.
func (p *plugins) ExecPlugin(ctx context.Context, path string, stdin []byte, env []string) ([]byte, error) {
	var stdout, stderr limited
	run := func() error {
		c := exec.CommandContext(ctx, path)
		c.Env, c.Stdin, c.Stdout, c.Stderr = env, bytes.NewReader(stdin), &stdout, &stderr
		c.WaitDelay = time.Second // for children that keep its output open
		ownGroup(c)
		return c.Run()
	}
	err := effectExec.Do(func() error {
		if p.host == "" {
			return run()
		}
		return netns.Do(p.host, run) // a child starts in the namespace of the thread
	})
	name := filepath.Base(path)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, fmt.Errorf("the plugin %s was ended: %w", name, context.Cause(ctx))
	case err != nil:
		return nil, pluginError(name, err, stdout.buf.Bytes(), stderr.buf.Bytes())
	case stdout.over:
		return nil, fmt.Errorf("the plugin %s wrote more than %d bytes", name, mostOutput)
	}
	return stdout.buf.Bytes(), nil
}

// FindInPath finds a plugin's program.
func (p *plugins) FindInPath(plugin string, paths []string) (string, error) {
	path, err := invoke.FindInPath(plugin, paths)
	if err != nil {
		return "", fmt.Errorf("find the plugin %s in %s: %w", plugin, strings.Join(paths, ", "), err)
	}
	return path, nil
}

// pluginError is what the plugin says went wrong: by the specification a JSON
// error on its output; otherwise what it wrote to stderr.
func pluginError(name string, err error, stdout, stderr []byte) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("run the plugin %s: %w", name, err)
	}
	var e types.Error
	if json.Unmarshal(stdout, &e) == nil && (e.Msg != "" || e.Code != 0) {
		return &e
	}
	text := strings.TrimSpace(string(stderr))
	if text == "" {
		text = strings.TrimSpace(string(stdout))
	}
	const most = 2048
	if len(text) > most {
		text = text[:most] + " …"
	}
	return &types.Error{Msg: fmt.Sprintf("the plugin %s failed (%v): %s", name, err, text)}
}

// limited keeps the first mostOutput bytes and swallows the rest. It must not
// embed its buffer: io.Copy would use the buffer's own ReadFrom.
type limited struct {
	buf  bytes.Buffer
	over bool
}

func (l *limited) Write(b []byte) (int, error) {
	if room := mostOutput - l.buf.Len(); len(b) > room {
		l.over = true
		l.buf.Write(b[:room])
		return len(b), nil
	}
	return l.buf.Write(b)
}
