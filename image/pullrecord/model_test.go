package pullrecord

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Tenants pull and use one private image, its registry lets some of them in. No
// tenant uses the image by the records alone that has neither been let in with what
// it holds, nor holds a secret or credentials of one that was; who was let in need
// not ask again.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var r *Record
		secrets, hashes := map[string]bool{}, map[string]bool{} // let in, or learned from those
		everyone := false
		for step := range 120 {
			s := Secret{Namespace: "n", Name: fmt.Sprint(rnd.IntN(6)), Hash: fmt.Sprint(rnd.IntN(6))}
			have := Held{Secrets: []Secret{s}}
			if rnd.IntN(10) == 0 {
				have = Held{}
			}
			verdict, c := Policy{}.Decide(app, Evidence{Record: r, Intended: r == nil})
			ok, learn := verdict == MayUse, (*Credentials)(nil)
			if verdict == MustMatch {
				ok, learn = c.Match(have)
			}
			known := len(have.Secrets) > 0 && (secrets[s.Name] || hashes[s.Hash])
			if ok != (everyone || known) {
				t.Fatalf("seed %d, step %d: %+v with %+v on record: %v, known %v", seed, step, have, r, ok, known)
			}
			switch admits := s.Hash < "3"; {
			case ok && learn == nil:
				continue
			case ok:
			case len(have.Secrets) == 0: // public for a moment, once in a while
				if rnd.IntN(20) > 0 {
					continue
				}
				learn, everyone = &Credentials{Everyone: true}, true
			case admits:
				learn = &Credentials{Secrets: []Secret{s}}
			default:
				continue
			}
			if !everyone {
				secrets[s.Name] = true
			}
			var err error
			if r, err = Merge(r, "ref", app, learn, time.Unix(int64(step), 0)); err != nil {
				t.Fatal(err)
			}
			clear(hashes) // those on record now
			for _, on := range r.Credentials["example/app"].Secrets {
				hashes[on.Hash] = true
			}
		}
	}
}
