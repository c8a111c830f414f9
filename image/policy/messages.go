package policy

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Texts of events and of waiting containers, word for word those of Kubernetes.
// image is the name as the pod gives it.

// PullingMessage announces a pull.
func PullingMessage(image string) string { return fmt.Sprintf("Pulling image %q", image) }

// PulledMessage tells of a pull that took pull, or waiting with the time before
// it could begin, and gave an image of size bytes.
func PulledMessage(image string, pull, waiting time.Duration, size int64) string {
	return fmt.Sprintf("Successfully pulled image %q in %v (%v including waiting). Image size: %v bytes.",
		image, pull.Truncate(time.Millisecond), waiting.Truncate(time.Millisecond), size)
}

// PresentMessage tells that no pull was needed.
func PresentMessage(image string) string {
	return fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", image)
}

// FailedMessage is the event of a failed pull.
func FailedMessage(image string, err error) string {
	return fmt.Sprintf("Failed to pull image %q: %v", image, err)
}

// BackOffMessage is the event of a pull that is put off.
func BackOffMessage(image string) string { return fmt.Sprintf("Back-off pulling image %q", image) }

// NeverPullMessage is for an absent image that may not be pulled.
func NeverPullMessage(image string) string {
	return fmt.Sprintf("Container image %q is not present with pull policy of Never", image)
}

// InvalidNameMessage is for a name that cannot be parsed.
func InvalidNameMessage(image string, err error) string {
	return fmt.Sprintf("Failed to apply default image tag %q: %v", image, err)
}

// InspectMessage is for a store that could not say whether it holds the image.
func InspectMessage(image string, err error) string {
	return fmt.Sprintf("Failed to inspect image %q: %v", image, err)
}

// MissingSecretsMessage is for pull secrets that a pull, which then failed, had to
// do without.
func MissingSecretsMessage(names []string) string {
	return fmt.Sprintf("Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(names, ", "))
}

// Waiting is why a container waits for its image, and the text beside it.
type Waiting struct{ Reason, Message string }

// String is "reason: message".
func (w Waiting) String() string { return w.Reason + ": " + w.Message }

// Failed turns the error of a pull into what the container's status shows. An
// error that says RegistryUnavailable or SignatureValidationFailed, by a method
// Reason() string or at the beginning of its text, keeps that reason.
func Failed(image string, err error) Waiting {
	text := err.Error()
	for _, known := range pullReasons {
		if rest, ok := strings.CutPrefix(text, known.reason); ok {
			return known.failed(image, rest)
		}
	}
	own := reasonOf(err)
	for _, known := range pullReasons {
		if own == known.reason {
			return known.failed(image, ": "+text)
		}
	}
	return Waiting{ReasonPull, text}
}

// pullReason is one that a runtime gives, and what it means.
type pullReason struct{ reason, why string }

var pullReasons = []pullReason{
	{ReasonRegistryUnavailable, "the registry is unavailable"},
	{ReasonSignature, "the signature validation failed"},
}

func (r pullReason) failed(image, rest string) Waiting {
	return Waiting{r.reason, fmt.Sprintf("image pull failed for %s because %s%s", image, r.why, rest)}
}

func reasonOf(err error) string {
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) {
		return r.Reason()
	}
	return ""
}

// BackingOff is the status while the next attempt is put off; last is what the
// last attempt ended with, the zero Waiting if that is not known.
func BackingOff(image string, last Waiting) Waiting {
	msg := BackOffMessage(image)
	if last.Reason != "" {
		msg += ": " + last.String()
	}
	return Waiting{ReasonBackOff, msg}
}
