// Command vm runs test binaries in a throw-away virtual machine that has cgroup
// v2 with all controllers:
//
//	hack/vm/run --setup                     get what is missing (Debian; root)
//	hack/vm/run ./cgroups ./container/runc  compile these packages' tests and run them
//	hack/vm/run x.test -test.v              run a binary that is there
//	hack/vm/run './cri=TestA|TestB' -test.v some of a package's tests
//	go test -exec $PWD/hack/vm/run ./cgroups
//
// Arguments up to the first that begins with "-" are packages or files, each with
// its own -test.run after a "=" if it has one; what follows goes to each of them.
// All run in one boot, one after the other, as root, each in its package's
// directory. The machine sees this one's files, and what it writes is forgotten.
// Programs that tests build for themselves are built before and named by their
// variables, as in it there is no time to compile. Its exit status is 0 when all
// passed, 1 when one failed or had no test to run, 2 when the machine itself did.
// At the end it prints a line for each with status and seconds.
//
// Without a processor that virtualises, everything is emulated: a boot takes some
// ten seconds, and starting a process some 25 times longer than outside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

type options struct {
	setup, systemd, verbose bool
	memory, cpus            int
	timeout                 time.Duration
	cache                   string
}

func main() {
	o, args := parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		if errors.Is(err, errFailed) {
			os.Exit(1)
		}
		os.Exit(2)
	}
}

func parse(args []string) (options, []string) {
	var o options
	f := flag.NewFlagSet("vm", flag.ExitOnError)
	f.BoolVar(&o.setup, "setup", false, "get qemu, a kernel and tools, and exit unless there is something to run")
	f.BoolVar(&o.systemd, "systemd", false, "systemd as the first process, in place of a shell script")
	f.BoolVar(&o.verbose, "verbose", false, "show the machine's console and times")
	f.IntVar(&o.memory, "mem", 2048, "memory in MiB")
	f.IntVar(&o.cpus, "cpus", 2, "processors")
	f.DurationVar(&o.timeout, "timeout", 15*time.Minute, "for boot and all binaries together")
	f.StringVar(&o.cache, "cache", os.Getenv("LIFEPOD_VM_CACHE"), "where setup keeps what it got; .cache/vm of the module when empty")
	_ = f.Parse(args) // it exits on errors
	return o, f.Args()
}

func run(ctx context.Context, o options, args []string) error {
	if o.cache == "" {
		out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return fmt.Errorf("find the module: %w", err)
		}
		o.cache = filepath.Join(strings.TrimSpace(string(out)), ".cache", "vm")
	}
	if o.setup {
		if err := setup(ctx, o.cache); err != nil {
			return err
		}
		if len(args) == 0 {
			return nil
		}
	}
	programs, flags := split(args)
	if len(programs) == 0 {
		return errors.New("nothing to run: name packages (./cgroups) or test binaries")
	}
	tests, err := compile(ctx, o.cache, programs)
	if err != nil {
		return err
	}
	if len(tests) == 0 || len(tests) > maxPrograms {
		return fmt.Errorf("%d test binaries, but one boot takes 1 to %d: split them over several", len(tests), maxPrograms)
	}
	if err := prebuild(ctx, o.cache); err != nil {
		return err
	}
	return boot(ctx, o, tests, flags)
}

// maxPrograms keeps a boot within its part of the time for all tests.
const maxPrograms = 6

func split(args []string) (programs, flags []string) {
	for i, a := range args {
		if strings.HasPrefix(a, "-") {
			return args[:i], args[i:]
		}
	}
	return args, nil
}

// test is a binary, the directory that it expects to be run in, and which of its
// tests to run, all if empty.
type test struct{ name, file, dir, run string }

// compile builds the packages among programs, without the race detector: the
// emulator is slow enough.
func compile(ctx context.Context, cache string, programs []string) ([]test, error) {
	var tests []test
	for _, p := range programs {
		p, some, _ := strings.Cut(p, "=")
		if st, err := os.Stat(p); err == nil && !st.IsDir() {
			file, err := filepath.Abs(p)
			if err != nil {
				return nil, err
			}
			dir, err := os.Getwd()
			if err != nil {
				return nil, err
			}
			tests = append(tests, test{filepath.Base(p), file, dir, some})
			continue
		}
		const form = "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}} {{.ImportPath}}{{end}}"
		out, err := exec.CommandContext(ctx, "go", "list", "-f", form, p).Output()
		if err != nil {
			return nil, fmt.Errorf("%s is neither a file nor a package: %w", p, err)
		}
		for line := range strings.Lines(string(out)) {
			dir, path, _ := strings.Cut(strings.TrimSpace(line), " ")
			file := filepath.Join(cache, "bin", strings.ReplaceAll(path, "/", "-")+".test")
			cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", file, path)
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := cmd.Run(); err != nil {
				return nil, fmt.Errorf("compile the tests of %s: %w", path, err)
			}
			tests = append(tests, test{path, file, dir, some})
		}
	}
	return tests, nil
}
