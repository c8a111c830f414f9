// Package program runs programs that know credentials, and bounds what they do.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/lifepod/lifepod/internal/sys"
)

// effectRun is another program that asks somebody for credentials.
var effectRun = sys.NewEffect("image/credential-program")

const (
	// timeout is how long a program may take.
	timeout = time.Minute
	// grace is how long its children may hold its output open after it ended.
	grace = 2 * time.Second
	// maxOutput and maxComplaint bound what it writes, in bytes.
	maxOutput    = 1 << 20
	maxComplaint = 8 << 10
)

// ErrTooMuch ends a program that writes more than 1 MiB.
var ErrTooMuch = errors.New("writes more than 1 MiB")

// Run runs a program with its arguments, env beside this process's environment,
// and in as its input. It returns what the program wrote; after an error, too,
// for whoever knows how to read it. The error names the program and quotes a
// line of what it complained of, without the values of env.
func Run(ctx context.Context, path string, args, env []string, in []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	out, complaint := &bounded{max: maxOutput, err: ErrTooMuch}, &bounded{max: maxComplaint}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), out, complaint
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = grace
	err := effectRun.Do(cmd.Run)
	switch {
	case out.over:
		err = ErrTooMuch
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(path), err)
		if s := quote(complaint.b.String(), env); s != "" {
			err = fmt.Errorf("%w: %s", err, s)
		}
	}
	return out.b.Bytes(), err
}

// quote is a text as one short line, without the values of env.
func quote(s string, env []string) string {
	for _, e := range env {
		if _, v, _ := strings.Cut(e, "="); v != "" {
			s = strings.ReplaceAll(s, v, "REDACTED")
		}
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	const most = 256
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// bounded keeps the first max bytes. With err, more is an error; without, it is
// dropped.
type bounded struct {
	b    bytes.Buffer
	max  int
	err  error
	over bool
}

func (w *bounded) Write(p []byte) (int, error) {
	room := w.max - w.b.Len()
	if len(p) <= room {
		return w.b.Write(p)
	}
	w.b.Write(p[:room])
	if w.err == nil {
		return len(p), nil
	}
	w.over = true
	return room, w.err
}
