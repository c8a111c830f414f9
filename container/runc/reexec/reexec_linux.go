//go:build cgo

package reexec

/*
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

// A supervisor leaves its parent here, before the Go runtime has threads: it is
// to be nobody's child, and its parent is to wait for nobody.
__attribute__((constructor)) static void lifepod_detach(void) {
	if (getenv("LIFEPOD_SUPERVISOR_DETACH") == NULL || getenv("LIFEPOD_SUPERVISOR") == NULL)
		return;
	unsetenv("LIFEPOD_SUPERVISOR_DETACH");
	setsid();
	pid_t pid = fork();
	if (pid < 0)
		_exit(71);
	if (pid > 0)
		_exit(0);
}
*/
import "C"

import (
	"fmt"
	"os"

	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // its constructor enters namespaces

	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/confine"
	"github.com/lifepod/lifepod/container/runc/internal/mounts"
	"github.com/lifepod/lifepod/container/runc/internal/supervisor"
)

func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		boot.Quiet()
		mounts.Arm()
		confine.Arm()
		libcontainer.Init() // does not return
	}
	if version := os.Getenv(boot.ProbeEnv); version != "" {
		supervisor.Probe(version)
		os.Exit(0)
	}
	if config := os.Getenv(boot.ConfigEnv); config != "" {
		if err := supervisor.Reexec(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(supervisor.Main(config, os.Getenv(boot.StateEnv)))
	}
	boot.InstallHook(nil)
}
