// Package pullrecord keeps what was pulled to a node, and decides by it who may
// use an image that is there already: a pod that has not shown the credentials
// with which a private image came must ask the registry (KEP-2535, the kubelet's
// KubeletEnsureSecretPulledImages).
//
// Decisions are pure: [Policy.Decide], [Credentials.Match], [Merge]. The records
// are the kinds ImagePullIntent and ImagePulledRecord of kubelet.config.k8s.io, and
// lie behind [Store]; package disk keeps them in the kubelet's own files.
package pullrecord

import "errors"

// ErrDamaged is what a record is that cannot be read. Who has no more than that
// must ask the registry.
var ErrDamaged = errors.New("the record is damaged")

// Store keeps records. Its methods are safe for concurrent use, also by several
// processes where the implementation says so.
type Store interface {
	Intents
	Records
}

// Intents say which images are about to be pulled. One that nobody took back says
// that its image may have been pulled, by a process that died.
type Intents interface {
	// Begin writes down, durably, that image, as a pod names it, is about to be
	// pulled. end takes that back, unless another pull of it is under way; it is
	// called once the pull has failed or is on record. Calling it twice does nothing.
	Begin(image string) (end func() error, err error)
	// Intended says whether image, however it is spelled, is about to be pulled, or
	// was when a process died.
	Intended(image string) (bool, error)
	// Unfinished are the images whose pull nobody carries on. Those that could be
	// read come also with an error.
	Unfinished() ([]string, error)
}

// Records say with what images were pulled.
type Records interface {
	// Get returns the record of the image that the runtime calls ref; nil if there is
	// none, ErrDamaged if it cannot be read.
	Get(ref string) (*Record, error)
	// Update replaces the record of ref by what f makes of it: nil removes it, old
	// itself leaves it. Nobody else changes it meanwhile. old is nil if there is
	// none, and a record without credentials if it is damaged. f must not write to it.
	Update(ref string, f func(old *Record) *Record) error
	// Refs are the images on record. Those that could be read come also with an
	// error.
	Refs() ([]string, error)
}
