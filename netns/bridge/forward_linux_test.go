package bridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
)

// hostRun runs a command in the namespace that plays the host.
func hostRun(t *testing.T, o Options, args ...string) {
	t.Helper()
	err := netns.Do(o.Host, func() error {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// warned runs Ready and returns what it says about dropped packets.
func warned(t *testing.T, n *Network) *ForwardDropError {
	t.Helper()
	err := n.Ready(t.Context())
	var drop *ForwardDropError
	if err != nil && !errors.As(err, &drop) {
		t.Fatal(err)
	}
	return drop
}

func TestForwardDropOfIptablesIsNamedUntilItsRuleIsThere(t *testing.T) {
	for _, program := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(program, func(t *testing.T) {
			testutil.RequirePeer(t, program)
			o := options(t)
			n := open(t, o)
			if w := warned(t, n); w != nil {
				t.Fatalf("a host without rules: %v", w)
			}
			hostRun(t, o, program, "-P", "FORWARD", "ACCEPT")
			hostRun(t, o, program, "-A", "FORWARD", "-s", "192.0.2.0/24", "-m", "comment", "--comment", "some rule", "-j", "DROP")
			if w := warned(t, n); w != nil {
				t.Fatalf("a host that accepts: %v", w)
			}
			hostRun(t, o, program, "-P", "FORWARD", "DROP")
			w := warned(t, n)
			if w == nil {
				t.Fatal("a policy of DROP went unnoticed")
			}
			if w.Chain != "FORWARD" || !strings.Contains(w.Error(), o.bridgeName()) {
				t.Errorf("got %v", w)
			}
			quiet := open(t, Options{ID: o.ID, Dir: o.Dir, Shared: o.Shared, Host: o.Host, AllowForwardDrop: true})
			if err := quiet.Ready(t.Context()); err != nil {
				t.Errorf("with AllowForwardDrop: %v", err)
			}
			hostRun(t, o, strings.Fields(w.Commands[0])...)
			if warned(t, n) == nil {
				t.Error("half of the help is enough")
			}
			hostRun(t, o, strings.Fields(w.Commands[1])...)
			if w := warned(t, n); w != nil {
				t.Errorf("the rules that it asks for are there: %v", w)
			}
		})
	}
}

func TestForwardDropOfNftables(t *testing.T) {
	nft := testutil.RequirePeer(t, "nft")
	o := options(t)
	n := open(t, o)
	hostRun(t, o, nft, "add table inet mine { chain passing { type filter hook forward priority 0; policy drop; }; }")
	w := warned(t, n)
	if w == nil || w.Table != "inet mine" || w.Chain != "passing" {
		t.Fatalf("got %v", w)
	}
	for _, c := range w.Commands {
		hostRun(t, o, nft, strings.TrimPrefix(c, "nft "))
	}
	if w := warned(t, n); w != nil {
		t.Errorf("after its help: %v", w)
	}
	hostRun(t, o, nft, "flush chain inet mine passing; add chain inet mine sub; add rule inet mine passing jump sub;"+
		` add rule inet mine sub iifname "lp-*" accept; add rule inet mine sub oifname "lp-*" counter accept`)
	if w := warned(t, n); w != nil {
		t.Errorf("accepted by prefix in a chain of its own: %v", w)
	}
	hostRun(t, o, nft, "delete table inet mine; add table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept; reject with icmpx admin-prohibited; }; }")
	if w := warned(t, n); w == nil || !strings.Contains(w.Error(), "firewall-cmd") {
		t.Errorf("a last rule that rejects all: %v", w)
	}
}

func TestHelpNamesTheToolThatOwnsTheChain(t *testing.T) {
	ip := nftables.TableFamilyIPv4
	for want, f := range map[string]forwardChain{
		"ufw route allow in on b":                   {name: "filter", base: "FORWARD", family: ip, rules: map[string][]*nftables.Rule{"ufw-before-forward": nil}},
		"iptables -I DOCKER-USER -i b -j ACCEPT":    {name: "filter", base: "FORWARD", family: ip, rules: map[string][]*nftables.Rule{"DOCKER-USER": nil}},
		"iptables -I FORWARD -i b -j ACCEPT":        {name: "filter", base: "FORWARD", family: ip},
		`nft insert rule ip x y iifname "b" accept`: {name: "x", table: "ip x", base: "y", family: ip},
	} {
		if got := f.help("b"); got[0] != want || len(got) != 2 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestChainsThatLoopEnd(t *testing.T) {
	jump := func(to string) *nftables.Rule {
		return &nftables.Rule{Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: to}}}
	}
	f := forwardChain{base: "a", rules: map[string][]*nftables.Rule{"a": {jump("b")}, "b": {jump("a")}}}
	if f.accepts("x") {
		t.Error("it accepts")
	}
}

func FuzzLegacy(f *testing.F) {
	entry := make([]byte, entrySize+targetVerdict+8)
	binary.NativeEndian.PutUint16(entry[entryTarget:], entrySize)
	binary.NativeEndian.PutUint16(entry[entryNext:], uint16(len(entry)))
	drop, pass := int32(verdictDrop), int32(verdictAccept)
	binary.NativeEndian.PutUint32(entry[entrySize+targetVerdict:], uint32(drop))
	f.Add(make([]byte, infoSize), entry)
	binary.NativeEndian.PutUint32(entry[entrySize+targetVerdict:], uint32(pass))
	f.Add(make([]byte, infoSize), bytes.Repeat(entry, 3))
	f.Fuzz(func(t *testing.T, info, table []byte) {
		drops, err := parseLegacy(info, table, "lp-0")
		if drops && err != nil {
			t.Fatal("an answer with an error")
		}
	})
}
