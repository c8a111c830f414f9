package policy

// When says when an image is pulled; the values are Kubernetes' pull policies.
type When string

// The pull policies.
const (
	Always       When = "Always"
	IfNotPresent When = "IfNotPresent"
	Never        When = "Never"
)

// Default is the policy of an image whose pod names none: Always exactly for
// the tag latest, given or implied. A name that cannot be parsed gets
// IfNotPresent, as in Kubernetes, and fails later with its own reason.
func Default(image string) When {
	r, err := Parse(image)
	if err == nil && r.Tag == "latest" {
		return Always
	}
	return IfNotPresent
}

// Decision is what to do about one image.
type Decision struct {
	Pull bool
	// Reason and Message say why the container cannot have its image. Both are
	// empty if it can.
	Reason, Message string
}

// Decide says whether image, as the pod names it, is pulled, used as it is, or
// cannot be had. present says whether the store holds it; it is not looked at
// with policy Always.
func Decide(w When, image string, present bool) Decision {
	switch {
	case w == Always, w != Never && !present:
		return Decision{Pull: true}
	case !present:
		return Decision{Reason: ReasonNeverPull, Message: NeverPullMessage(image)}
	}
	return Decision{}
}
