package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/google/nftables"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
	"golang.org/x/sys/unix"
)

var (
	effectTable = sys.NewEffect("bridge/table")
	effectPorts = sys.NewEffect("bridge/ports")
)

// nat is the root's nftables table. Host ports are elements of two maps, so a
// pod changes no rule: hostports is for ports of all addresses, addrports for
// those of one.
//
// One socket is kept open for it: closing one that changed something waits for
// the kernel to free what was removed, ten milliseconds and more.
type nat struct {
	host, name, bridge string

	mu   sync.Mutex
	conn *nftables.Conn
}

// with runs f with the connection, which is dropped if f fails: there may be
// answers left in it.
func (n *nat) with(f func(*nftables.Conn) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		err := onHost(n.host, func() (err error) {
			n.conn, err = nftables.New(nftables.AsLasting())
			return err
		})
		if err != nil {
			return fmt.Errorf("open a netlink socket for nftables: %w", err)
		}
	}
	err := f(n.conn)
	if err != nil {
		err = errors.Join(err, n.conn.CloseLasting())
		n.conn = nil
	}
	return err
}

func (n *nat) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return nil
	}
	c := n.conn
	n.conn = nil
	return c.CloseLasting()
}

func (n *nat) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.name}
}

var (
	dstNAT   = *nftables.ChainPriorityNATDest
	srcNAT   = *nftables.ChainPriorityNATSource
	earliest = *nftables.ChainPriorityRaw
)

// setTypes are those of the maps' keys and of what they map to. They are not made
// in the package's initialisation, which each init of a container may have to wait
// for: see package reexec.
var setTypes = sync.OnceValue(func() (t struct{ target, anyKey, addrKey nftables.SetDatatype }) {
	t.target = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	t.anyKey = nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	t.addrKey = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	return t
})

func (n *nat) maps(t *nftables.Table) (anyAddr, oneAddr *nftables.Set) {
	// An ID tells the sets of one transaction apart. A set without one takes it
	// from a counter that all connections of the process share without a lock.
	types := setTypes()
	return &nftables.Set{Table: t, ID: 1, Name: "hostports", IsMap: true, KeyType: types.anyKey, DataType: types.target},
		&nftables.Set{Table: t, ID: 2, Name: "addrports", IsMap: true, KeyType: types.addrKey, DataType: types.target}
}

// flush sends what build asks for as one transaction.
func (n *nat) flush(build func(*nftables.Conn) error) error {
	return n.with(func(c *nftables.Conn) error {
		if err := build(c); err != nil {
			return err
		}
		return c.Flush()
	})
}

// exists tells whether the table is there; someone may have flushed all rules.
func (n *nat) exists() (bool, error) {
	found := false
	err := n.with(func(c *nftables.Conn) error {
		_, err := c.ListTableOfFamily(n.name, nftables.TableFamilyIPv4)
		found = err == nil
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for the nftables table %s: %w", n.name, err)
	}
	return found, nil
}

// install makes the table anew, in one transaction, with the given ports.
func (n *nat) install(subnet netip.Prefix, rs []record) error {
	err := effectTable.Do(func() error {
		return n.flush(func(c *nftables.Conn) error {
			c.AddTable(n.table()) // so that there is one to delete
			c.DelTable(n.table())
			t := c.AddTable(n.table())
			anyAddr, oneAddr := n.maps(t)
			anys, ones := elements(rs...)
			if err := c.AddSet(anyAddr, anys); err != nil {
				return err
			}
			if err := c.AddSet(oneAddr, ones); err != nil {
				return err
			}
			n.chains(c, t, subnet, anyAddr, oneAddr)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("make the nftables table %s: %w", n.name, err)
	}
	return nil
}

func (n *nat) remove() error {
	err := effectTable.Do(func() error {
		return n.flush(func(c *nftables.Conn) error { c.DelTable(n.table()); return nil })
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the nftables table %s: %w", n.name, err)
	}
	return nil
}

// promise forwards r's ports.
func (n *nat) promise(r record) error {
	if len(r.Ports) == 0 {
		return nil
	}
	err := effectPorts.Do(func() error {
		return n.flush(func(c *nftables.Conn) error { return n.change(c.SetAddElements, r) })
	})
	if err != nil {
		return fmt.Errorf("forward the host ports of %s: %w", r.ID, err)
	}
	return nil
}

// withdraw stops forwarding r's ports and returns r with those that it was
// promised: a Setup that failed on a port may name one that another pod has.
func (n *nat) withdraw(r record) (record, error) {
	if len(r.Ports) == 0 {
		return r, nil
	}
	have, err := n.promised(r)
	if errors.Is(err, unix.ENOENT) { // no table, no promises
		have, err = nil, nil
	}
	if err != nil {
		return r, err
	}
	r.Ports = have
	if len(have) == 0 {
		return r, nil
	}
	err = effectPorts.Do(func() error {
		return n.flush(func(c *nftables.Conn) error { return n.change(c.SetDeleteElements, r) })
	})
	if err != nil {
		return r, fmt.Errorf("withdraw the host ports of %s: %w", r.ID, err)
	}
	return r, nil
}

func (n *nat) change(op func(*nftables.Set, []nftables.SetElement) error, r record) error {
	anyAddr, oneAddr := n.maps(n.table())
	anys, ones := elements(r)
	if len(anys) > 0 {
		if err := op(anyAddr, anys); err != nil {
			return err
		}
	}
	if len(ones) > 0 {
		return op(oneAddr, ones)
	}
	return nil
}

// promised lists the ports of r that are forwarded to it.
func (n *nat) promised(r record) ([]netns.PortMapping, error) {
	have := map[string]bool{}
	err := n.with(func(c *nftables.Conn) error {
		anyAddr, oneAddr := n.maps(n.table())
		for _, s := range []*nftables.Set{anyAddr, oneAddr} {
			es, err := c.GetSetElements(s)
			if err != nil {
				return fmt.Errorf("list the map %s of the nftables table %s: %w", s.Name, n.name, err)
			}
			for _, e := range es {
				have[string(e.Key)+">"+string(e.Val)] = true
			}
		}
		return nil
	})
	var ports []netns.PortMapping
	for _, p := range r.Ports {
		if e := element(p, r.IP); have[string(e.Key)+">"+string(e.Val)] {
			ports = append(ports, p)
		}
	}
	return ports, err
}

func elements(rs ...record) (anys, ones []nftables.SetElement) {
	for _, r := range rs {
		for _, p := range r.Ports {
			if p.HostIP.IsValid() {
				ones = append(ones, element(p, r.IP))
			} else {
				anys = append(anys, element(p, r.IP))
			}
		}
	}
	return anys, ones
}

// element is p's key and value. In a concatenation each part fills whole words.
func element(p netns.PortMapping, to netip.Addr) nftables.SetElement {
	var key []byte
	if p.HostIP.IsValid() {
		key = append(key, p.HostIP.AsSlice()...)
	}
	key = append(key, protocols[p.Protocol], 0, 0, 0)
	key = append(binary.BigEndian.AppendUint16(key, p.HostPort), 0, 0)
	val := append(binary.BigEndian.AppendUint16(to.AsSlice(), p.ContainerPort), 0, 0)
	return nftables.SetElement{Key: key, Val: val}
}
