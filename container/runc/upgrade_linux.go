package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// Upgrade has the supervisor of this root go on as the program that this Runtime
// would start one from, in the same process: containers, their terminals, execs
// and attaches under way, and other programs' connections go on as if nothing had
// happened. It returns when the new program serves. Where no supervisor runs it
// does nothing, as the next one is started from that program anyway.
//
// After an error the old program serves on: the new one cannot be executed, is no
// supervisor's, is too old to know what this one keeps, or calls took longer to
// end than others can be kept waiting (try again). The new program is asked first
// whether it can; one that fails nevertheless once it was executed has ended the
// supervisor, and the next takes the containers up as after any crash.
func (r *Runtime) Upgrade(ctx context.Context) error {
	path, err := r.program()
	if err != nil {
		return fmt.Errorf("upgrade the supervisor: %w", err)
	}
	program, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("upgrade the supervisor: %w", err)
	}
	defer program.Close()
	err = r.askUpgrade(ctx, path, program)
	if errors.Is(err, errLost) {
		err = fmt.Errorf("upgrade the supervisor to %s: it ended on the way (%w); its containers go on, as after a crash", path, err)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	_, cerr := r.connect(ctx, false) // another may have to take up what it left
	if errors.Is(cerr, container.ErrNotFound) || errors.Is(cerr, ErrVersion) {
		cerr = nil
	}
	return errors.Join(err, cerr)
}

// askUpgrade asks the supervisor that runs, over a connection of its own: the
// others may be refused for their version.
func (r *Runtime) askUpgrade(ctx context.Context, path string, program *os.File) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.cfg.Socket(), Net: "unix"})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("connect to the supervisor: %w", err)
	}
	w := wire.NewConn(c)
	defer w.Close()
	defer context.AfterFunc(ctx, func() { w.Close() })()
	err = effectMessage.Do(func() error {
		return w.Send(&wire.Message{Op: wire.OpUpgrade, Body: wire.Body(wire.Upgrade{Program: path}), Files: []*os.File{program}})
	})
	var m *wire.Message
	if err == nil {
		m, err = w.Receive()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", errLost, err)
	}
	closeFiles(m.Files)
	if m.Op == wire.OpLog { // the last words of the new program
		var last wire.Log
		_ = json.Unmarshal(m.Body, &last)
		return fmt.Errorf("%w: %s", errLost, last.Error)
	}
	return m.Err.Local()
}
