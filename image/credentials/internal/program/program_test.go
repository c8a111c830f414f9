package program

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct{ text, out, err string }{
		"input, arguments, environment": {`cat; echo " $1 $MORE"`, "in arg more\n", ""},
		"it fails": {`echo out; echo "no
			luck with more" >&2; exit 3`, "out\n", "program: exit status 3: no luck with REDACTED"},
		"it writes too much":     {`yes out`, "", "program: writes more than 1 MiB"},
		"it complains too much":  {`yes complaint 2>/dev/null | head -c 1000000 >&2; exit 1`, "", "complaint complaint"},
		"its child holds on":     {`sleep 4 & echo out`, "", "program: exec: WaitDelay expired"},
		"it does not read":       {`exec 0<&-; echo out`, "out\n", ""},
		"it is killed":           {`kill -9 $$`, "", "program: signal: killed"},
		"a complaint of colours": {`printf '\033[31mred\033[0m\007' >&2; exit 1`, "", "exit status 1: [31mred [0m"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Run(t.Context(), script(t, c.text), []string{"arg"}, []string{"MORE=more"}, []byte("in"))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if c.out != "" && string(out) != c.out {
				t.Errorf("output %q, want %q", out, c.out)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := Run(t.Context(), "/nowhere/program", nil, nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller left"))
	if _, err := Run(ctx, script(t, "exec sleep 60"), nil, nil, nil); err == nil || !strings.Contains(err.Error(), "the caller left") {
		t.Errorf("a caller that leaves: %v", err)
	}
}
