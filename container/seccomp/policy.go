package seccomp

import (
	"fmt"
	"slices"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// policy is a checked profile, not yet for any architecture.
type policy struct {
	def   uint32
	rules []namedRule
	// modern is set if calls newer than all of the profile's names get ENOSYS.
	modern bool
}

type namedRule struct {
	name string
	rule
}

// rule gives ret to a call for which all conds hold.
type rule struct {
	conds []cond
	ret   uint32
}

func newPolicy(p *specs.LinuxSeccomp) (*policy, error) {
	def, err := action(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, fmt.Errorf("defaultAction: %w", err)
	}
	if p.ListenerPath != "" {
		return nil, fmt.Errorf("listenerPath: nothing of lifepod sends to %s", p.ListenerPath)
	}
	// A profile whose own default number is ENOSYS has no need of it.
	pol := &policy{def: def, modern: !permissive(def) && (p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != enosys)}
	for i, s := range p.Syscalls {
		rules, err := newRules(s)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d] (%s): %w", i, first(s.Names), err)
		}
		for _, name := range s.Names {
			for _, r := range rules {
				pol.rules = append(pol.rules, namedRule{name, r})
			}
		}
	}
	return pol, nil
}

func first(names []string) string {
	if len(names) == 0 {
		return "no names"
	}
	return names[0]
}

// newRules makes one rule of s, or one for each of its conditions if two of them
// look at the same argument: then one of them is enough.
func newRules(s specs.LinuxSyscall) ([]rule, error) {
	if len(s.Names) == 0 || slices.Contains(s.Names, "") {
		return nil, fmt.Errorf("names: the name of a system call is missing")
	}
	ret, err := action(s.Action, s.ErrnoRet)
	if err != nil {
		return nil, err
	}
	var conds []cond
	seen, twice := map[uint]bool{}, false
	for i, a := range s.Args {
		c, err := newCond(a)
		if err != nil {
			return nil, fmt.Errorf("args[%d]: %w", i, err)
		}
		conds = append(conds, c)
		twice = twice || seen[a.Index]
		seen[a.Index] = true
	}
	if !twice {
		return []rule{{conds, ret}}, nil
	}
	var rules []rule
	for _, c := range conds {
		rules = append(rules, rule{[]cond{c}, ret})
	}
	return rules, nil
}

// on is the policy for one architecture: the rules of each number, those that
// always hold alone, and the largest number that the profile knows.
func (p *policy) on(a *arch) (byNumber map[uint32][]rule, largest uint32) {
	byNumber = map[uint32][]rule{}
	numbers := a.calls()
	for _, r := range p.rules {
		number, direct := numbers[r.name]
		m, muxed := muxes()[r.name]
		muxed = muxed && a == archX86
		if direct {
			largest = max(largest, number)
		}
		if r.ret == p.def {
			continue // it says nothing
		}
		if direct {
			byNumber[number] = addRule(byNumber[number], r.rule)
		}
		if muxed {
			n := numbers[m.by]
			byNumber[n] = addRule(byNumber[n], m.behind(r.rule))
		}
	}
	return byNumber, largest
}

// addRule puts r behind the others. The first rule without conditions is the
// only one.
func addRule(rules []rule, r rule) []rule {
	switch {
	case len(rules) > 0 && len(rules[0].conds) == 0:
		return rules
	case len(r.conds) == 0:
		return []rule{r}
	}
	return append(rules, r)
}

// mux tells where else 32-bit x86 has a call: the first argument of another
// says which is meant.
type mux struct {
	by     string
	number uint64
}

// behind is r for the call through which m goes. Other conditions of it look at
// that call's arguments, which are seldom what was meant: kernels cannot look
// where the arguments really are.
func (m mux) behind(r rule) rule {
	conds := []cond{{arg: 0, op: specs.OpEqualTo, value: m.number}}
	for _, c := range r.conds {
		if c.arg != 0 {
			conds = append(conds, c)
		}
	}
	return rule{conds, r.ret}
}

var muxes = sync.OnceValue(func() map[string]mux {
	all := map[string]mux{}
	for i, name := range []string{
		"socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
		"sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
	} {
		all[name] = mux{"socketcall", uint64(i + 1)}
	}
	for name, n := range map[string]uint64{
		"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
		"shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
	} {
		all[name] = mux{"ipc", n}
	}
	return all
})
