package values

// The scores that are no function of memory.
const (
	guaranteedOOM = -997
	bestEffortOOM = 1000
	// SandboxOOMScoreAdj is a pause process's, as containerd sets it.
	SandboxOOMScoreAdj = -998
)

// OOM is what a container's oom_score_adj depends on. Memory in bytes.
type OOM struct {
	QOS QOS
	// NodeCritical is for pods of the priority class system-node-critical.
	NodeCritical bool
	// Request is the container's own; Extra its part of what the pod requests
	// beyond its containers (0 without pod-level requests).
	Request, Extra int64
	// Capacity of the node; it must be positive for Burstable.
	Capacity int64
	// Sidecar containers are spared at least as much as the smallest regular
	// container, whose request is MinRegular.
	Sidecar    bool
	MinRegular int64
}

// OOMScoreAdj gives a container's oom_score_adj.
func OOMScoreAdj(o OOM) int {
	switch {
	case o.NodeCritical, o.QOS == Guaranteed:
		return guaranteedOOM
	case o.QOS == BestEffort || o.Capacity <= 0:
		return bestEffortOOM
	}
	score := func(memory int64) int64 { return bestEffortOOM - bestEffortOOM*memory/o.Capacity }
	adj := score(o.Request + o.Extra)
	if o.Sidecar {
		adj = min(adj, score(o.MinRegular+o.Extra))
	}
	// Strictly between what Guaranteed and BestEffort pods get.
	adj = max(adj, bestEffortOOM+guaranteedOOM)
	if adj == bestEffortOOM {
		adj--
	}
	return int(adj)
}
