package bridge

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// ForwardDropError says that a chain drops what the host forwards, and pods with
// it: they reach the host, but nothing beyond, nor each other where the host
// filters bridged packets too (net.bridge.bridge-nf-call-iptables), and their
// host ports are reached from the host alone.
type ForwardDropError struct {
	// Table and Chain name it: "ip filter" and "FORWARD", say.
	Table, Chain string
	// Commands let the bridge's traffic pass, to be run as root.
	Commands []string
}

func (e *ForwardDropError) Error() string {
	s := fmt.Sprintf("the chain %s of table %s drops what the host forwards, so pods reach nothing but this host; let them pass with:", e.Chain, e.Table)
	for i, c := range e.Commands {
		if i > 0 {
			s += " &&"
		}
		s += " " + c
	}
	return s
}

// Warnings lists what limits the network without preventing it: a
// [ForwardDropError] for each chain that drops what the host forwards and has
// no rule that accepts the bridge's traffic both ways. It looks at nftables,
// iptables on nftables and legacy iptables.
func (n *Network) Warnings(ctx context.Context) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var warn []error
	err := onHost(n.o.Host, func() error {
		chains, err := nftChains()
		if err != nil {
			return err
		}
		for _, c := range chains {
			if c.name != n.o.tableName() && c.drops() && !c.accepts(n.o.bridgeName()) {
				warn = append(warn, &ForwardDropError{c.table, c.base, c.help(n.o.bridgeName())})
			}
		}
		drops, err := legacyDrops(n.o.bridgeName())
		if drops {
			warn = append(warn, &ForwardDropError{"filter (legacy iptables)", "FORWARD", iptablesHelp("iptables-legacy", "FORWARD", n.o.bridgeName())})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for rules that drop forwarded packets: %w", err)
	}
	return warn, nil
}

// forwardChain is a base chain at the forward hook with all chains of its table.
type forwardChain struct {
	name, table, base string
	family            nftables.TableFamily
	policy            nftables.ChainPolicy
	rules             map[string][]*nftables.Rule
}

func nftChains() ([]forwardChain, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	var found []forwardChain
	for family, prefix := range map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip ", nftables.TableFamilyINet: "inet "} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, err
		}
		for _, ch := range chains {
			if ch.Hooknum == nil || *ch.Hooknum != *nftables.ChainHookForward || ch.Type != nftables.ChainTypeFilter {
				continue
			}
			f := forwardChain{name: ch.Table.Name, table: prefix + ch.Table.Name, base: ch.Name, family: family, rules: map[string][]*nftables.Rule{}}
			if ch.Policy != nil {
				f.policy = *ch.Policy
			} else {
				f.policy = nftables.ChainPolicyAccept
			}
			for _, other := range chains {
				if other.Table.Name == ch.Table.Name {
					if f.rules[other.Name], err = c.GetRules(ch.Table, other); err != nil {
						return nil, err
					}
				}
			}
			found = append(found, f)
		}
	}
	return found, nil
}

// drops: by its policy, or by an unconditional last rule, as firewalld has it.
func (f forwardChain) drops() bool {
	if f.policy == nftables.ChainPolicyDrop {
		return true
	}
	rules := f.rules[f.base]
	if len(rules) == 0 {
		return false
	}
	for _, e := range rules[len(rules)-1].Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			return true
		case *expr.Verdict:
			return e.Kind == expr.VerdictDrop
		default:
			return false
		}
	}
	return false
}

// accepts looks for rules that let packets from and to the bridge pass, in the
// chain itself and in those that it leads to.
func (f forwardChain) accepts(bridge string) bool {
	in, out := false, false
	seen := map[string]bool{}
	var walk func(chain string)
	walk = func(chain string) {
		if seen[chain] {
			return
		}
		seen[chain] = true
		for _, r := range f.rules[chain] {
			v := lastVerdict(r)
			if v == nil {
				continue
			}
			if v.Kind == expr.VerdictJump || v.Kind == expr.VerdictGoto {
				walk(v.Chain)
			}
			if v.Kind == expr.VerdictAccept {
				in = in || names(r, expr.MetaKeyIIFNAME, bridge)
				out = out || names(r, expr.MetaKeyOIFNAME, bridge)
			}
		}
	}
	walk(f.base)
	return in && out
}

func lastVerdict(r *nftables.Rule) *expr.Verdict {
	for _, e := range r.Exprs {
		if v, ok := e.(*expr.Verdict); ok {
			return v
		}
	}
	return nil
}

// names says whether r matches the device by name or by a prefix of it.
func names(r *nftables.Rule, key expr.MetaKey, dev string) bool {
	for i, e := range r.Exprs {
		m, ok := e.(*expr.Meta)
		if !ok || m.Key != key || i+1 == len(r.Exprs) {
			continue
		}
		c, ok := r.Exprs[i+1].(*expr.Cmp)
		if !ok || c.Op != expr.CmpOpEq {
			continue
		}
		name := bytes.TrimRight(c.Data, "\x00")
		whole := len(c.Data) > len(name) // a name ends with a zero, a prefix does not
		if whole && string(name) == dev || !whole && bytes.HasPrefix([]byte(dev), name) {
			return true
		}
	}
	return false
}

func (f forwardChain) help(bridge string) []string {
	has := func(chain string) bool { _, ok := f.rules[chain]; return ok }
	switch {
	case f.family == nftables.TableFamilyIPv4 && has("ufw-before-forward"):
		return []string{"ufw route allow in on " + bridge, "ufw route allow out on " + bridge}
	case f.family == nftables.TableFamilyIPv4 && has("DOCKER-USER"):
		return iptablesHelp("iptables", "DOCKER-USER", bridge)
	case f.family == nftables.TableFamilyIPv4 && f.name == "filter" && f.base == "FORWARD":
		return iptablesHelp("iptables", "FORWARD", bridge)
	case f.name == "firewalld":
		return []string{"firewall-cmd --permanent --zone=trusted --add-interface=" + bridge, "firewall-cmd --reload"}
	}
	return []string{
		fmt.Sprintf(`nft insert rule %s %s iifname "%s" accept`, f.table, f.base, bridge),
		fmt.Sprintf(`nft insert rule %s %s oifname "%s" accept`, f.table, f.base, bridge),
	}
}

func iptablesHelp(program, chain, bridge string) []string {
	return []string{
		program + " -I " + chain + " -i " + bridge + " -j ACCEPT",
		program + " -I " + chain + " -o " + bridge + " -j ACCEPT",
	}
}
