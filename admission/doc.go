// Package admission is the path of a request that creates an object:
//
//	decode → default → mutate → prepare → validate → store
//
// Decode reads manifests strictly: an unknown field, a wrong type or a repeated
// key is an error that names it, and of a file with one bad document nothing is
// returned. Path takes an object the rest of the way through a chain of Plugins,
// each a Mutator, a Validator or both, and tells on demand what each of them did.
//
// Errors are those of the Kubernetes API: 422 Invalid with every field that is
// wrong, 403 Forbidden by the plugin that said so, 400 for what cannot be read.
//
//	path := admission.Path{Plugins: admission.Default(), Store: …}
//	objects, err := admission.Decode(manifest)
//	for _, obj := range objects {
//		result, err := path.Create(ctx, obj)
//	}
package admission
