// Package policy decides about images: which name is meant, whether to pull,
// what to say while waiting, when to try again, what to delete. It is pure:
// values and Now in, values out; no clock, no I/O.
//
// Reasons, messages and constants are those of Kubernetes 1.37.
package policy

// Reasons of a container that waits for its image.
const (
	ReasonInvalidName         = "InvalidImageName"
	ReasonPull                = "ErrImagePull"
	ReasonBackOff             = "ImagePullBackOff"
	ReasonNeverPull           = "ErrImageNeverPull"
	ReasonInspect             = "ImageInspectError"
	ReasonRegistryUnavailable = "RegistryUnavailable"
	ReasonSignature           = "SignatureValidationFailed"
)

// Reasons of events about images.
const (
	EventPulling   = "Pulling"
	EventPulled    = "Pulled"
	EventFailed    = "Failed"
	EventInspect   = "InspectFailed"
	EventNeverPull = "ErrImageNeverPull"
	EventBackOff   = "BackOff"

	EventMissingSecret = "FailedToRetrieveImagePullSecret"
)
