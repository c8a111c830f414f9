// Command task is the program of the suite's containers: see package critest.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ready says that signals are handled from now on.
func ready() { _ = os.WriteFile("/ready", nil, 0o644) }

// The first thread reads: of it the kernel tells everything.
func init() { runtime.LockOSThread() }

func main() {
	words := append(os.Args[1:], "", "")
	switch words[0] {
	case "sleep": // as the first process of its namespace it must end itself
		sigs := make(chan os.Signal, 1)
		signal.Notify(sigs, syscall.SIGTERM, syscall.SIGUSR1)
		ready()
		sig := (<-sigs).(syscall.Signal)
		os.Exit(128 + int(sig))
	case "ignore":
		signal.Ignore(syscall.SIGTERM, syscall.SIGUSR1)
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
		ready()
		select {}
	case "await":
		for range 1000 {
			if _, err := os.Stat("/ready"); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		os.Exit(1)
	case "exit":
		code, _ := strconv.Atoi(words[1])
		fmt.Fprint(os.Stderr, "bye")
		os.Exit(code)
	case "echo":
		fmt.Println(words[1])
	case "serve":
		serve(words[1])
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "id":
		groups, _ := os.Getgroups()
		wd, _ := os.Getwd()
		host, _ := os.Hostname()
		fmt.Println(os.Getuid(), os.Getgid(), groups, wd, host, os.Getpid())
	case "read":
		b, err := os.ReadFile(words[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Stdout.Write(b)
	case "write":
		if err := os.WriteFile(words[1], []byte("x"), 0o644); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "flood":
		b := make([]byte, 1<<20)
		for range 20 {
			os.Stdout.Write(b)
		}
	default:
		os.Exit(64)
	}
}

// serve greets whoever connects to a port.
func serve(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ready()
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		_, _ = c.Write([]byte("hello from the pod"))
		c.Close()
	}
}
