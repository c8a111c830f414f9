package pullrecord

import "slices"

// Evidence is what is on record about an image that is there.
type Evidence struct {
	// Intended says that it is, or was, about to be pulled; Record, which may be nil,
	// that it was.
	Intended bool
	Record   *Record
	// Unreadable says that the records could not be read.
	Unreadable bool
}

// Verdict is what a pod has to do to use an image that is there.
type Verdict string

// The verdicts.
const (
	MustPull Verdict = "must pull" // ask the registry
	MayUse   Verdict = "may use"
	// MustMatch: it may use the image if its credentials match those on record.
	MustMatch Verdict = "must match"
)

// Decide is the verdict about image, as the pod spells it, and the credentials on
// record to compare with.
func (p Policy) Decide(image string, e Evidence) (Verdict, Credentials) {
	if e.Unreadable {
		return MustPull, Credentials{}
	}
	if !p.Requires(image, e.Intended || e.Record != nil) {
		return MayUse, Credentials{}
	}
	name, err := Repository(image)
	if err != nil || e.Record == nil {
		return MustPull, Credentials{}
	}
	c := e.Record.Credentials[name]
	switch {
	case c.Everyone:
		return MayUse, c
	case len(c.Secrets) == 0 && len(c.ServiceAccounts) == 0:
		return MustPull, c
	}
	return MustMatch, c
}

// Held are the credentials that a pod has for an image, beside the node's own.
type Held struct {
	// Secrets are its pull secrets that fit the image, in the order in which a pull
	// would try them.
	Secrets        []Secret
	ServiceAccount *ServiceAccount
}

// maxLearned bounds how many secrets a record gets without a pull: namespaces
// that come and go must not make it grow for ever.
const maxLearned = 100

// Match says whether a pod that holds have may use an image with c on record: it
// has the credentials themselves, in whichever secret, or the secret, whatever it
// holds by now, or the service account. learn, if not nil, is to be merged into the
// record, so that the secret is known as it is now.
func (c Credentials) Match(have Held) (ok bool, learn *Credentials) {
	learns := len(c.Secrets) < maxLearned
	for _, mine := range have.Secrets {
		for _, theirs := range c.Secrets {
			hash := theirs.Hash != "" && mine.Hash == theirs.Hash
			object := mine.sameObject(theirs)
			switch {
			case hash && (object || !learns):
				return true, nil
			case hash, object && learns:
				return true, &Credentials{Secrets: []Secret{mine}}
			}
		}
	}
	return have.ServiceAccount != nil && slices.Contains(c.ServiceAccounts, *have.ServiceAccount), nil
}
