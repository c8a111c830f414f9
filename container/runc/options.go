package runc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	"github.com/lifepod/lifepod/container/runc/internal/boot"
)

// Options say where containers are kept. The zero value keeps them in the
// default places.
type Options struct {
	// Root is the absolute directory that the containers belong to, and below
	// which their logs lie. Empty means /var/lib/lifepod.
	Root string
	// Run is the absolute directory for what dies with the boot: it should lie
	// on a tmpfs, and its path must be short (a socket is in it). Empty means
	// /run/lifepod for the default Root, /run/lifepod-ID for others, ID being 8
	// characters that stand for Root.
	Run string
	// CgroupRoot is the cgroup below which the supervisor gets one of its own.
	// Empty means /lifepod-ID.
	CgroupRoot string
	// Supervisor is the path of the supervisor's program. Empty means to look
	// for it, as the package's comment tells.
	Supervisor string
	// LogDirs are directories, besides Root and /var/log/pods, below which logs
	// may be written. The supervisor takes them from the agent that starts it.
	LogDirs []string
	// SupervisorIdle is how long a supervisor without containers and agents
	// stays. Zero means 5 s.
	SupervisorIdle time.Duration
	// Runtime is the absolute path of an OCI runtime program, with its global
	// arguments, that makes the containers of this Runtime. Empty means
	// libcontainer. Package container/cli sets it.
	Runtime []string
	// Log gets what no call can return. The zero value discards it.
	Log logr.Logger
}

// ErrVersion is for a supervisor whose program is so much older or newer than
// this one that they cannot speak with each other. Nothing is done about it by
// itself: programs of both versions would take turns.
var ErrVersion = errors.New("upgrade the supervisor in place with Upgrade, or use the program that started it")

const (
	defaultRoot = "/var/lib/lifepod"
	defaultRun  = "/run/lifepod"
)

// RootID is the 8 characters that stand for a root directory in names of
// cgroups, links and tables.
func RootID(root string) string {
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	sum := sha256.Sum256([]byte(filepath.Clean(root)))
	return hex.EncodeToString(sum[:4])
}

func (o Options) config() (boot.Config, error) {
	c := boot.Config{Root: o.Root, Run: o.Run, CgroupRoot: o.CgroupRoot, LogDirs: o.LogDirs, Idle: o.SupervisorIdle}
	if c.Root == "" {
		c.Root = defaultRoot
	}
	id := RootID(c.Root)
	if c.Run == "" && c.Root == defaultRoot {
		c.Run = defaultRun
	} else if c.Run == "" {
		c.Run = defaultRun + "-" + id
	}
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/lifepod-" + id
	}
	if c.Idle <= 0 {
		c.Idle = 5 * time.Second
	}
	for _, p := range append([]string{c.Root, c.Run, c.CgroupRoot}, c.LogDirs...) {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" {
			return c, errors.New("runc options: " + p + " must be an absolute path without . and .., and not /")
		}
	}
	const longest = 107 // of a unix socket's path
	if len(c.Socket()) > longest {
		return c, errors.New("runc options: " + c.Socket() + " is too long for a socket: choose a shorter run directory")
	}
	return c, nil
}
