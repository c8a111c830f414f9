//go:build cgo

package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	_ "github.com/opencontainers/cgroups/devices" // without it no device rule can be set
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// toConfig turns a spec into libcontainer's configuration, with what this
// machine does not allow clamped to what it allows.
func (s *Supervisor) toConfig(id string, spec *specs.Spec) (*configs.Config, error) {
	own := s.clamped(spec)
	own.Linux.Seccomp = nil // startProcess sees to it
	return specconv.CreateLibcontainerConfig(&specconv.CreateOpts{
		CgroupName:      id,
		Spec:            own,
		RootlessEUID:    os.Geteuid() != 0,
		RootlessCgroups: os.Geteuid() != 0,
	})
}

// clamped gives a copy of spec, of what is changed here and by callers.
func (s *Supervisor) clamped(spec *specs.Spec) *specs.Spec {
	own := *spec
	p, l := *spec.Process, *spec.Linux
	own.Process, own.Linux = &p, &l
	if p.OOMScoreAdj == nil { // else it would inherit the supervisor's, which is low
		p.OOMScoreAdj = new(int)
	}
	s.clamp(&p)
	return &own
}

// mayRaise tells whether we may lower an oom_score_adj and raise hard limits.
var mayRaise = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && caps&(1<<unix.CAP_SYS_RESOURCE) != 0
		}
	}
	return false
})

// clamp changes what would fail without CAP_SYS_RESOURCE.
func (s *Supervisor) clamp(p *specs.Process) {
	if mayRaise() {
		return
	}
	if own := ownOOMScore(); p.OOMScoreAdj != nil && *p.OOMScoreAdj < own {
		s.warnOnce("oom", fmt.Sprintf("oom_score_adj %d is raised to %d: lowering it needs CAP_SYS_RESOURCE", *p.OOMScoreAdj, own))
		p.OOMScoreAdj = &own
	}
	limits := make([]specs.POSIXRlimit, len(p.Rlimits))
	for i, l := range p.Rlimits {
		limits[i] = l
		kind, known := rlimits[l.Type]
		var have unix.Rlimit
		if !known || unix.Getrlimit(kind, &have) != nil || l.Hard <= have.Max {
			continue
		}
		s.warnOnce(l.Type, fmt.Sprintf("%s %d is lowered to %d: raising it needs CAP_SYS_RESOURCE", l.Type, l.Hard, have.Max))
		limits[i].Hard, limits[i].Soft = have.Max, min(l.Soft, have.Max)
	}
	p.Rlimits = limits
}

func ownOOMScore() int {
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

var rlimits = map[string]int{
	"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA,
	"RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS,
	"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
	"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
}

// toProcess turns a spec's process into libcontainer's.
func (s *Supervisor) toProcess(spec *specs.Process) (*libcontainer.Process, error) {
	p := *spec
	s.clamp(&p)
	out := &libcontainer.Process{
		Args: p.Args, Env: p.Env, Cwd: p.Cwd,
		UID: int(p.User.UID), GID: int(p.User.GID),
		Label: p.SelinuxLabel, AppArmorProfile: p.ApparmorProfile,
		NoNewPrivileges: &p.NoNewPrivileges,
		Scheduler:       p.Scheduler, IOPriority: p.IOPriority,
	}
	for _, g := range p.User.AdditionalGids {
		out.AdditionalGroups = append(out.AdditionalGroups, int(g))
	}
	if c := p.ConsoleSize; c != nil {
		out.ConsoleWidth, out.ConsoleHeight = uint16(c.Width), uint16(c.Height)
	}
	if c := p.Capabilities; c != nil {
		out.Capabilities = &configs.Capabilities{
			Bounding: c.Bounding, Effective: c.Effective, Inheritable: c.Inheritable,
			Permitted: c.Permitted, Ambient: c.Ambient,
		}
	}
	for _, l := range p.Rlimits {
		kind, ok := rlimits[l.Type]
		if !ok {
			return nil, fmt.Errorf("process.rlimits: %q is not known", l.Type)
		}
		out.Rlimits = append(out.Rlimits, configs.Rlimit{Type: kind, Soft: l.Soft, Hard: l.Hard})
	}
	var err error
	if out.CPUAffinity, err = configs.ConvertCPUAffinity(p.ExecCPUAffinity); err != nil {
		return nil, fmt.Errorf("process.execCPUAffinity: %w", err)
	}
	return out, nil
}
