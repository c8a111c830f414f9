package containertest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Testbox is a [Fake]'s Script that does what the program testbox does.
func Testbox(p *Process) int {
	if len(p.Args) < 2 {
		return 127
	}
	arg := func(i int) string {
		if i+2 < len(p.Args) {
			return p.Args[i+2]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(0))
	switch p.Args[1] {
	case "exit":
		return n
	case "sleep":
		return p.nap(arg(0))
	case "cat":
		_, _ = io.Copy(p.Stdout, p.Stdin)
	case "echo":
		fmt.Fprintln(p.Stdout, strings.Join(p.Args[2:], " "))
	case "both":
		fmt.Fprintln(p.Stdout, "to stdout")
		fmt.Fprintln(p.Stderr, "to stderr")
	case "env":
		fmt.Fprintln(p.Stdout, strings.Join(p.Env, "\n"))
	case "pwd":
		fmt.Fprintln(p.Stdout, p.Cwd)
	case "id":
		fmt.Fprintln(p.Stdout, "uid", p.User.UID, "gid", p.User.GID, "groups", p.User.AdditionalGids)
	case "lines":
		return p.lines(n)
	case "long":
		fmt.Fprintln(p.Stdout, strings.Repeat("x", n))
	case "partial":
		fmt.Fprint(p.Stdout, arg(0))
		return p.nap(arg(1))
	case "alloc":
		if p.Alloc(int64(n) << 20) {
			fmt.Fprintln(p.Stdout, "have", n)
		}
	case "trap":
		return p.trap()
	case "ignore":
		fmt.Fprintln(p.Stdout, "ready")
		<-p.Done
	case "call":
		for _, text := range p.Args[2:] {
			name, _, _ := strings.Cut(text, ",")
			fmt.Fprintln(p.Stdout, text, p.refusal(name))
		}
	case "size":
		for in := bufio.NewScanner(p.Stdin); ; {
			fmt.Fprintf(p.Stdout, "size %dx%d\n", p.Size().Width, p.Size().Height)
			if !in.Scan() {
				return 0
			}
		}
	default:
		return 127
	}
	return 0
}

// refusal is what the profile has for a call, by rules without conditions.
func (p *Process) refusal(name string) string {
	if p.Seccomp != nil {
		for _, s := range p.Seccomp.Syscalls {
			if slices.Contains(s.Names, name) && s.Action == specs.ActErrno && s.ErrnoRet == nil {
				return "EPERM"
			}
		}
	}
	return "ok"
}

func (p *Process) nap(how string) int {
	d, err := time.ParseDuration(how)
	if err != nil {
		return 99
	}
	p.Sleep(d)
	return 0
}

func (p *Process) lines(n int) int {
	for i := 1; n == 0 || i <= n; i++ {
		select {
		case <-p.Done:
			return 137
		default:
			fmt.Fprintf(p.Stdout, "line %d\n", i)
		}
	}
	return 0
}

func (p *Process) trap() int {
	fmt.Fprintln(p.Stdout, "ready")
	for {
		select {
		case s := <-p.Signals:
			fmt.Fprintln(p.Stdout, "got", s)
			if s == syscall.SIGTERM {
				return 3
			}
		case <-p.Done:
			return 137
		}
	}
}

// LookTestbox is a [Fake]'s LookPath for the root that an [Env] has.
func LookTestbox(program string) error {
	quoted := "exec: " + strconv.Quote(program) + ": "
	switch program {
	case "/testbox":
		return nil
	case "/notexec":
		return errors.New(quoted + "permission denied")
	case "/garbage":
		return errors.New("exec " + program + ": exec format error")
	}
	if !strings.Contains(program, "/") {
		return errors.New(quoted + "executable file not found in $PATH")
	}
	return errors.New(quoted + "stat " + program + ": no such file or directory")
}
