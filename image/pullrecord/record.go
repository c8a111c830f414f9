package pullrecord

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Record says that the image that the runtime calls ImageRef was pulled, and with
// what. It is the kind ImagePulledRecord.
type Record struct {
	LastUpdated time.Time
	ImageRef    string
	// Credentials are those that pulled it, by the image's name without tag and
	// digest, as pods spell it.
	Credentials map[string]Credentials
}

// Credentials are what an image was pulled with under one name. The zero value is
// not known: whoever wants it asks the registry.
type Credentials struct {
	Secrets         []Secret         `json:"kubernetesSecrets,omitempty"`
	ServiceAccounts []ServiceAccount `json:"kubernetesServiceAccounts,omitempty"`
	// Everyone says that it came without credentials, or with the node's own: every
	// pod may use it.
	Everyone bool `json:"nodePodsAccessible,omitempty"`
}

// Secret is a pull secret, with a hash of the credentials in it that were used.
type Secret struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Hash      string `json:"credentialHash"`
}

func (s Secret) sameObject(o Secret) bool {
	s.Hash = o.Hash
	return s == o
}

// ServiceAccount is one whose token a credential provider was given.
type ServiceAccount struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Merge adds to a record (nil: none yet) that ref was pulled as image with these
// credentials; nil ones say only that it was pulled. It returns old itself if
// there is nothing new. Its error is that of [Repository].
func Merge(old *Record, ref, image string, with *Credentials, now time.Time) (*Record, error) {
	name, err := Repository(image)
	if err != nil {
		return old, err
	}
	if old == nil {
		r := &Record{LastUpdated: now, ImageRef: ref}
		if with != nil {
			r.Credentials = map[string]Credentials{name: *with}
		}
		return r, nil
	}
	if with == nil || !with.Everyone && len(with.Secrets) == 0 && len(with.ServiceAccounts) == 0 {
		return old, nil
	}
	had, found := old.Credentials[name]
	have, changed := had.merge(*with)
	if found && !changed {
		return old, nil
	}
	r := &Record{LastUpdated: now, ImageRef: old.ImageRef, Credentials: maps.Clone(old.Credentials)}
	if r.Credentials == nil {
		r.Credentials = map[string]Credentials{}
	}
	r.Credentials[name] = have
	return r, nil
}

// merge joins two; a secret that is in both has the hash of the newer one.
func (c Credentials) merge(more Credentials) (all Credentials, changed bool) {
	switch {
	case c.Everyone:
		return c, false
	case more.Everyone:
		return Credentials{Everyone: true}, true
	}
	all = Credentials{Secrets: slices.Clone(c.Secrets), ServiceAccounts: slices.Clone(c.ServiceAccounts)}
	for _, s := range more.Secrets {
		if slices.Contains(all.Secrets, s) {
			continue
		}
		all.Secrets = append(slices.DeleteFunc(all.Secrets, s.sameObject), s)
		changed = true
	}
	for _, a := range more.ServiceAccounts {
		if !slices.Contains(all.ServiceAccounts, a) {
			all.ServiceAccounts, changed = append(all.ServiceAccounts, a), true
		}
	}
	slices.SortFunc(all.Secrets, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	slices.SortFunc(all.ServiceAccounts, func(a, b ServiceAccount) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return all, changed
}
