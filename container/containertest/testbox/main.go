// Command testbox is the only program in the root file systems of container
// tests: many small behaviours, chosen by the first argument.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var commands = map[string]func(args []string){
	"exit":   func(a []string) { os.Exit(number(a, 0)) },
	"sleep":  func(a []string) { sleep(a) },
	"cat":    func([]string) { check(second(io.Copy(os.Stdout, os.Stdin))) },
	"echo":   func(a []string) { fmt.Println(strings.Join(a, " ")) },
	"stderr": func(a []string) { fmt.Fprintln(os.Stderr, strings.Join(a, " ")) },
	"both": func([]string) {
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
	},
	"env":  func([]string) { fmt.Println(strings.Join(os.Environ(), "\n")) },
	"pwd":  func([]string) { fmt.Println(must(os.Getwd())) },
	"host": func([]string) { fmt.Println(must(os.Hostname())) },
	"id": func([]string) {
		fmt.Println("uid", os.Getuid(), "gid", os.Getgid(), "groups", must(os.Getgroups()))
	},
	"read":   func(a []string) { os.Stdout.Write(must(os.ReadFile(a[0]))) },
	"write":  func(a []string) { check(os.WriteFile(a[0], []byte(strings.Join(a[1:], " ")+"\n"), 0o644)) },
	"append": appendTo,
	"lines":  lines,
	"long":   func(a []string) { fmt.Println(strings.Repeat("x", number(a, 0))) },
	"partial": func(a []string) {
		fmt.Print(a[0])
		sleep(a[1:])
	},
	"alloc":  alloc,
	"trap":   trap,
	"ignore": ignore,
	"child":  child,
	"as":     as,
	"size":   size,
	"call":   call,
	"userns": userns,
	"fds":    func([]string) { fmt.Println("descriptors", descriptors()) },
	"mem":    func([]string) { childAlloc() },
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "testbox: unknown command", os.Args[1:])
		os.Exit(127)
	}
	commands[os.Args[1]](os.Args[2:])
}

func number(args []string, i int) int { return must(strconv.Atoi(args[i])) }

func must[T any](v T, err error) T {
	check(err)
	return v
}

func second(_ int64, err error) error { return err }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbox:", err)
		os.Exit(99)
	}
}

func sleep(args []string) { time.Sleep(must(time.ParseDuration(args[0]))) }

// appendTo opens a file, /dev/stdout say, and writes a line to it.
func appendTo(args []string) {
	f := must(os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0))
	fmt.Fprintln(f, strings.Join(args[1:], " "))
}

// lines writes numbered lines as fast as it can: so many, or without end for 0.
func lines(args []string) {
	n := number(args, 0)
	for i := 1; n == 0 || i <= n; i++ {
		if _, err := os.Stdout.WriteString("line " + strconv.Itoa(i) + "\n"); err != nil {
			os.Exit(98)
		}
	}
}

// alloc takes so many MiB and uses them.
func alloc(args []string) {
	var keep [][]byte
	for range number(args, 0) {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		keep = append(keep, b)
	}
	fmt.Println("have", len(keep))
}

// childAlloc has a child that takes more than there is, and tells of its end.
//
//nolint:noctx // its life is the test's
func childAlloc() {
	err := exec.Command("/testbox", "alloc", "512").Run()
	fmt.Println("child:", err)
	time.Sleep(time.Hour)
}

// trap exits with 3 when it gets SIGTERM, and says so.
func trap([]string) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGHUP)
	fmt.Println("ready")
	for s := range c {
		fmt.Println("got", s)
		if s == syscall.SIGTERM {
			os.Exit(3)
		}
	}
}

func ignore([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// child starts another testbox with the arguments, which outlives this one.
//
//nolint:noctx // its life is the test's
func child(args []string) {
	c := exec.Command("/testbox", args...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	check(c.Start())
	fmt.Println("child started")
}

// as runs another testbox as another user, with the same streams.
func as(args []string) {
	c := exec.Command("/testbox", args[1:]...) //nolint:noctx // its life is the test's
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	setUser(c, number(args, 0))
	check(c.Run())
}

// size prints the terminal's size, and again whenever a line is read.
func size([]string) {
	for in := bufio.NewScanner(os.Stdin); ; {
		fmt.Println("size", terminalSize())
		if !in.Scan() {
			return
		}
	}
}

// descriptors are this program's open files but for the directory that lists
// them and what Go's runtime opens.
func descriptors() []string {
	var open []string
	for _, e := range must(os.ReadDir("/proc/self/fd")) {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:") {
			open = append(open, e.Name())
		}
	}
	return open
}
