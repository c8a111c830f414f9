package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectClaim  = sys.NewEffect("bridge/claim")
	effectSysctl = sys.NewEffect("bridge/sysctl")
)

// machine is the directory that all roots of a machine share.
type machine struct{ dir string }

// claim says that a root uses a range, and forwarding.
type claim struct {
	ID     string       `json:"id"`
	Dir    string       `json:"dir"`
	Boot   string       `json:"boot"`
	Subnet netip.Prefix `json:"subnet"`
}

const forwarding = "net/ipv4/ip_forward"

// saved are host settings as they were before the first root changed them.
type saved struct {
	Boot     string            `json:"boot"`
	Settings map[string]string `json:"settings"`
}

func (m machine) lock() (unlock func(), err error) {
	return lockDir(m.dir, m.tidy, "roots", "ports")
}

// tidy removes the directory's parts when no root claims anything.
func (m machine) tidy() {
	removeUnfinished(m.dir, filepath.Join(m.dir, "roots"), filepath.Join(m.dir, "ports"))
	_, err := os.Lstat(m.savedPath())
	if err != nil && os.Remove(filepath.Join(m.dir, "roots")) == nil && os.Remove(filepath.Join(m.dir, "ports")) == nil {
		_ = os.Remove(filepath.Join(m.dir, "lock"))
	}
}

func (m machine) claimPath(id string) string { return filepath.Join(m.dir, "roots", id+".json") }
func (m machine) savedPath() string          { return filepath.Join(m.dir, "settings.json") }

// claims lists the claims of living roots and forgets those of roots whose
// directory is gone or that were of another boot.
func (m machine) claims() ([]claim, error) {
	names, err := readNames(filepath.Join(m.dir, "roots"))
	var all []claim
	for _, n := range names {
		if !strings.HasSuffix(n, ".json") || strings.HasPrefix(n, ".") {
			continue
		}
		path := filepath.Join(m.dir, "roots", n)
		var c claim
		ok, rerr := readJSON(path, &c)
		if rerr != nil {
			return nil, rerr
		}
		if ok && m.stale(c) {
			err = errors.Join(err, remove(path))
		} else if ok {
			all = append(all, c)
		}
	}
	return all, err
}

func (m machine) stale(c claim) bool {
	_, err := os.Stat(filepath.Join(c.Dir, "host.json"))
	return c.Boot != bootID() || errors.Is(err, os.ErrNotExist)
}

// claim chooses a range for the root, unless it has one, and switches
// forwarding on. commit must write host.json, which makes the claim a living
// one; both are undone by release.
func (m machine) claim(o Options, routes []netip.Prefix, commit func(netip.Prefix) error) (netip.Prefix, error) {
	unlock, err := m.lock()
	if err != nil {
		return netip.Prefix{}, err
	}
	defer unlock()
	claims, err := m.claims()
	if err != nil {
		return netip.Prefix{}, err
	}
	taken := routes
	for _, c := range claims {
		if c.ID == o.ID && c.Dir != o.Dir {
			return netip.Prefix{}, fmt.Errorf("root id %s is in use by %s too: two roots cannot share an id", o.ID, c.Dir)
		}
		taken = append(taken, c.Subnet)
	}
	s, err := chooseSubnet(o.Pools, taken)
	if err != nil {
		return s, err
	}
	c := claim{o.ID, o.Dir, bootID(), s}
	err = effectClaim.Do(func() error {
		if err := writeJSON(m.claimPath(o.ID), c); err != nil {
			return err
		}
		return commit(s)
	})
	if err != nil {
		return s, err
	}
	return s, m.set(o.Host, forwarding, "1")
}

// set writes a setting of the host, having written down what it was. The caller
// holds the lock.
func (m machine) set(host, name, value string) error {
	return onHost(host, func() error {
		old, err := readSysctl(name)
		if err != nil || old == value {
			return err
		}
		var s saved
		if _, err := readJSON(m.savedPath(), &s); err != nil {
			return err
		}
		if s.Boot != bootID() || s.Settings == nil {
			s = saved{bootID(), map[string]string{}}
		}
		if _, had := s.Settings[name]; !had {
			s.Settings[name] = old
			if err := writeJSON(m.savedPath(), s); err != nil {
				return err
			}
		}
		return writeSysctl(name, value)
	})
}

// release gives the root's range back and, when it was the last root, sets the
// host's settings back.
func (m machine) release(o Options) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := effectClaim.Do(func() error { return remove(m.claimPath(o.ID)) }); err != nil {
		return err
	}
	removeUnfinished(m.dir, filepath.Join(m.dir, "roots"), filepath.Join(m.dir, "ports"))
	left, err := m.claims()
	if err != nil || len(left) > 0 {
		return err
	}
	var s saved
	if ok, err := readJSON(m.savedPath(), &s); !ok || err != nil {
		return err
	}
	if s.Boot == bootID() {
		err = onHost(o.Host, func() error {
			var errs []error
			for name, value := range s.Settings {
				if name == forwarding { // the file is ours, but a name is a path
					errs = append(errs, writeSysctl(name, value))
				}
			}
			return errors.Join(errs...)
		})
	}
	return errors.Join(err, remove(m.savedPath()))
}

// abandon gives back what a root without host.json still claims.
func (m machine) abandon(o Options) error {
	var c claim
	ok, err := readJSON(m.claimPath(o.ID), &c)
	if !ok || err != nil || c.Dir != o.Dir {
		return err
	}
	return m.release(o)
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile("/proc/sys/" + name)
	return strings.TrimSpace(string(b)), err
}

func writeSysctl(name, value string) error {
	return effectSysctl.Do(func() error {
		f, err := os.OpenFile("/proc/sys/"+name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(value)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("set %s to %s: %w", name, value, err)
		}
		return nil
	})
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return sys.WriteFile(path, b, 0o600, false)
}
