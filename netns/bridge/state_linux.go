package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
)

var (
	effectLease  = sys.NewEffect("bridge/lease")
	effectForget = sys.NewEffect("bridge/forget")
)

// record is what Teardown must know of an attachment, written before anything
// is made for it.
type record struct {
	ID     string              `json:"id"`
	IP     netip.Addr          `json:"ip"`
	IfName string              `json:"ifName"`
	Veth   string              `json:"veth"`
	Ports  []netns.PortMapping `json:"ports,omitempty"`
}

// hostRecord is what the last Teardown must know of the host.
type hostRecord struct {
	Boot   string       `json:"boot"`
	Subnet netip.Prefix `json:"subnet"`
}

// state is the root's directory. Its methods but lock expect the lock held.
type state struct{ dir string }

// lock orders the processes and goroutines that share a root.
func (s state) lock() (unlock func(), err error) { return lockDir(s.dir, s.tidy, "pods", "ips") }

// tidy removes what is left of the directory when the root has nothing on the
// host.
func (s state) tidy() {
	if _, err := os.Lstat(s.hostPath()); err == nil {
		return
	}
	removeUnfinished(s.dir, filepath.Join(s.dir, "pods"))
	if os.Remove(filepath.Join(s.dir, "pods")) == nil && os.Remove(filepath.Join(s.dir, "ips")) == nil {
		_ = os.Remove(filepath.Join(s.dir, "last"))
		_ = os.Remove(filepath.Join(s.dir, "lock"))
	}
}

// lockDir makes dir with subs and locks it. Who unlocks it, with nobody waiting,
// calls tidy, and removes dir if it is empty then.
func lockDir(dir string, tidy func(), subs ...string) (unlock func(), err error) {
	place, err := sys.Occupy(dir, 0o700)
	if err != nil {
		return nil, err
	}
	for _, sub := range subs {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			place.Leave(tidy)
			return nil, err
		}
	}
	lock, err := sys.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		place.Leave(tidy)
		return nil, err
	}
	return func() {
		lock.Close()
		place.Leave(tidy)
	}, nil
}

func (s state) recordPath(id string) string    { return filepath.Join(s.dir, "pods", id+".json") }
func (s state) leasePath(ip netip.Addr) string { return filepath.Join(s.dir, "ips", ip.String()) }
func (s state) hostPath() string               { return filepath.Join(s.dir, "host.json") }

// record returns the attachment's record, nil if it has none.
func (s state) record(id string) (*record, error) {
	var r record
	ok, err := readJSON(s.recordPath(id), &r)
	if !ok {
		return nil, err
	}
	if r.ID != id || !r.IP.Is4() || !interfaceNm.MatchString(r.IfName) || !interfaceNm.MatchString(r.Veth) {
		return nil, fmt.Errorf("%s is damaged: remove it, and the link %q if it is there", s.recordPath(id), r.Veth)
	}
	return &r, nil
}

func (s state) records() ([]record, error) {
	ids, err := s.ids()
	var all []record
	for _, id := range ids {
		r, rerr := s.record(id)
		if err = errors.Join(err, rerr); r != nil {
			all = append(all, *r)
		}
	}
	return all, err
}

func (s state) ids() ([]string, error) {
	names, err := readNames(filepath.Join(s.dir, "pods"))
	var ids []string
	for _, n := range names {
		if id, ok := strings.CutSuffix(n, ".json"); ok && !strings.HasPrefix(n, ".") {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// lease gives r an address of s and writes both down. The record comes first:
// whoever finds a lease can find whose it is, since they are one file.
func (s state) lease(r *record, subnet netip.Prefix) error {
	for ip := range candidates(subnet, s.last()) {
		if _, err := os.Lstat(s.leasePath(ip)); err == nil {
			continue
		}
		r.IP = ip
		return effectLease.Do(func() error {
			if err := s.write(*r); err != nil {
				return err
			}
			if err := os.Link(s.recordPath(r.ID), s.leasePath(ip)); err != nil {
				return fmt.Errorf("lease %s to %s: %w", ip, r.ID, err)
			}
			// Only a hint where to go on: never synced, replaced in place.
			return os.WriteFile(filepath.Join(s.dir, "last"), []byte(ip.String()), 0o600)
		})
	}
	return exhausted(subnet)
}

// write writes a record that has its address already, keeping its lease.
func (s state) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return sys.WriteFile(s.recordPath(r.ID), b, 0o600, false)
}

// forget removes the record and its lease, unless the address is another's by
// now (a crash came between a record and its lease).
func (s state) forget(r record) error {
	return effectForget.Do(func() error {
		var owner record
		ok, err := readJSON(s.leasePath(r.IP), &owner)
		if err == nil && ok && owner.ID == r.ID {
			err = os.Remove(s.leasePath(r.IP))
		}
		return errors.Join(err, remove(s.recordPath(r.ID)))
	})
}

func (s state) last() netip.Addr {
	b, _ := os.ReadFile(filepath.Join(s.dir, "last"))
	a, _ := netip.ParseAddr(strings.TrimSpace(string(b)))
	return a
}

// host returns what the root has on the host, nil if nothing. What an earlier
// boot wrote is gone with it, so it is forgotten with all leases.
func (s state) host() (*hostRecord, error) {
	var h hostRecord
	ok, err := readJSON(s.hostPath(), &h)
	if !ok {
		return nil, err
	}
	if h.Boot != bootID() {
		return nil, s.wipe()
	}
	if !h.Subnet.IsValid() || !h.Subnet.Addr().Is4() || h.Subnet.Bits() > 29 || h.Subnet.Masked() != h.Subnet {
		return nil, fmt.Errorf("%s is damaged: remove %s when no pod runs", s.hostPath(), s.dir)
	}
	return &h, nil
}

func (s state) wipe() error {
	return errors.Join(os.RemoveAll(filepath.Join(s.dir, "pods")), os.RemoveAll(filepath.Join(s.dir, "ips")),
		os.Mkdir(filepath.Join(s.dir, "pods"), 0o700), os.Mkdir(filepath.Join(s.dir, "ips"), 0o700), remove(s.hostPath()))
}

var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// readJSON reports whether the file is there. A file that is there and is not
// JSON is an error.
func readJSON(path string, v any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// keep writes r, which has an address from before, and takes the lease if the
// record had come to no lease.
func (s state) keep(r record) error {
	var owner record
	ok, err := readJSON(s.leasePath(r.IP), &owner)
	if err != nil {
		return err
	}
	if ok && owner.ID != r.ID {
		return fmt.Errorf("the address %s is leased to %s by now: tear %s down first", r.IP, owner.ID, r.ID)
	}
	return effectLease.Do(func() error {
		if err := s.write(r); err != nil || ok {
			return err
		}
		return os.Link(s.recordPath(r.ID), s.leasePath(r.IP))
	})
}

// removeUnfinished removes what a process that was killed while it wrote left in
// dirs. Whoever writes there holds the lock that the caller holds.
func removeUnfinished(dirs ...string) {
	for _, d := range dirs {
		names, _ := readNames(d)
		for _, n := range names {
			if strings.HasPrefix(n, ".tmp-") {
				_ = os.Remove(filepath.Join(d, n))
			}
		}
	}
}
