//go:build cgo

package supervisor

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"

	"github.com/opencontainers/runc/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container/runc/internal/confine"
	"github.com/lifepod/lifepod/container/seccomp"
)

// filters keeps the compiled seccomp profiles: most containers have one of a few.
var filters filterCache

type filterCache struct {
	mu   sync.Mutex
	made map[[sha256.Size]byte]seccomp.Filter
}

const maxFilters = 100

// get compiles p, or finds what was made of its like.
func (f *filterCache) get(p *specs.LinuxSeccomp) (seccomp.Filter, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return seccomp.Filter{}, fmt.Errorf("linux.seccomp: %w", err)
	}
	key := sha256.Sum256(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if have, ok := f.made[key]; ok {
		return have, nil
	}
	if err := seccomp.Supported(); err != nil {
		return seccomp.Filter{}, fmt.Errorf("linux.seccomp: %w", err)
	}
	filter, err := seccomp.Compile(p, runtime.GOARCH)
	if err != nil {
		return seccomp.Filter{}, err
	}
	if f.made == nil || len(f.made) >= maxFilters {
		f.made = map[[sha256.Size]byte]seccomp.Filter{}
	}
	f.made[key] = filter
	return filter, nil
}

// filterOf gives what keeps the calls of a container's programs in bounds, made
// when it is first asked for.
func filterOf(p *specs.LinuxSeccomp) func() (seccomp.Filter, error) {
	return sync.OnceValues(func() (seccomp.Filter, error) {
		if p == nil {
			return seccomp.Filter{}, nil
		}
		return filters.get(p)
	})
}

// startProcess starts p, under the container's filter.
func (b *libBox) startProcess(p *libcontainer.Process) error {
	filter, err := b.filter()
	if err != nil {
		return err
	}
	if len(filter.Program) == 0 {
		p.LogLevel = warnings // of what else init says nobody hears anyway
		return b.startMounted(p)
	}
	h, err := confine.Prepare(p, filter)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Check(b.startMounted(p))
}

// warnings is logrus' level of them. Without a level libcontainer's C code logs
// each of its steps.
const warnings = "3"
