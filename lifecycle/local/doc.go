// Package local is a working pod runner: lifepod's blocks wired under one root
// directory, without a cluster, a daemon or Docker.
//
//	node, err := local.Open(local.Options{Root: "/var/lib/demo"})
//	…
//	defer node.Close() // stops driving; containers go on
//	h, err := node.Run(ctx, pod)
//	for st, err := range h.Status(ctx) { … }
//	err = h.Stop(ctx)
//
// A pod takes the way of the account: it is admitted (decoded, defaulted,
// validated, stored), scheduled to this node, admitted by the node, and run.
// Everything about it lies in files under the root, so that any program may find
// it again: [Node.List], [Node.Logs], [Node.Exec] and [Node.Describe] look
// without disturbing who drives it, [Node.Stop] asks for its end, and
// [Node.Agent] drives all pods of the root.
package local
