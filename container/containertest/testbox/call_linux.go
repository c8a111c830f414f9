package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var callNumbers = map[string]uintptr{
	"getpid": unix.SYS_GETPID, "mount": unix.SYS_MOUNT, "unshare": unix.SYS_UNSHARE, "keyctl": unix.SYS_KEYCTL,
	"personality": unix.SYS_PERSONALITY, "clone3": unix.SYS_CLONE3, "socket": unix.SYS_SOCKET, "mkdirat": unix.SYS_MKDIRAT,
	"getpriority": unix.SYS_GETPRIORITY, "getpgid": unix.SYS_GETPGID, "reboot": unix.SYS_REBOOT, "bpf": unix.SYS_BPF,
}

// call makes system calls, each given as name or number, then numbers, with
// commas between, and prints how each ended.
func call(list []string) {
	for _, text := range list {
		name, rest, _ := strings.Cut(text, ",")
		number, known := callNumbers[name]
		if !known {
			number = uintptr(must(strconv.ParseUint(name, 0, 64)))
		}
		var args [6]uintptr
		for i, a := range strings.Split(rest, ",") {
			if a != "" {
				args[i] = uintptr(must(strconv.ParseUint(a, 0, 64)))
			}
		}
		_, _, errno := syscall.RawSyscall6(number, args[0], args[1], args[2], args[3], args[4], args[5])
		fmt.Println(text, word(errno))
	}
}

func word(errno syscall.Errno) string {
	if errno == 0 {
		return "ok"
	}
	return unix.ErrnoName(errno)
}

// userns runs another testbox in a user namespace of its own.
func userns(args []string) {
	c := exec.CommandContext(context.Background(), "/testbox", args...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	err := c.Run()
	var errno syscall.Errno
	errors.As(err, &errno)
	fmt.Println("userns", word(errno))
}
