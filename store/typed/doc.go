// Package typed is the seam between control plane and node: Kubernetes objects
// that are read, written and watched as the Kubernetes API does it.
//
// Client is the seam. Server implements it over a store.Store, in this process;
// another implementation speaks to a real API server. Programs use it through Of,
// one type at a time:
//
//	client := core.New(new(memory.Store))
//	pods := core.Pods(client)
//	pod, err := pods.Get(ctx, "default", "web")
//
// # What holds everywhere
//
//   - resourceVersion is opaque. It may be handed back (update, precondition,
//     watch), never parsed, and compared only within one kind.
//   - Update with the resourceVersion of an older state is a 409 Conflict; without
//     one it overwrites. An update that changes nothing writes nothing.
//   - Update leaves status alone and UpdateStatus leaves spec alone.
//   - Errors are those of k8s.io/apimachinery/pkg/api/errors, with Kubernetes' texts.
//   - A watch whose next change is forgotten ends with 410 Expired: list again.
//   - What an option asks and an implementation cannot do is refused by name.
package typed
