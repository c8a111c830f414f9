package values

import "math"

// The kernel's bounds of cpu.shares, and the CFS bandwidth numbers in
// microseconds.
const (
	MinShares     = 2
	MaxShares     = 262144
	DefaultPeriod = 100_000
	MinQuota      = 1000

	sharesPerCPU = 1024
	milliPerCPU  = 1000

	minWeight = 1
	maxWeight = 10000
)

// MilliCPUToShares gives cpu.shares for a CPU request. No request counts as the
// smallest one.
func MilliCPUToShares(milli int64) uint64 {
	return uint64(min(max(milli*sharesPerCPU/milliPerCPU, MinShares), MaxShares))
}

// SharesToMilliCPU reads a CPU request back from cpu.shares; shares below the
// kernel's minimum give 0.
func SharesToMilliCPU(shares uint64) int64 {
	if shares < MinShares {
		return 0
	}
	return int64(math.Ceil(float64(shares) * milliPerCPU / sharesPerCPU))
}

// MilliCPUToQuota gives the CFS quota for a CPU limit: 0 (none) without a limit,
// else at least [MinQuota].
func MilliCPUToQuota(milli, period int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*period/milliPerCPU, MinQuota)
}

// QuotaToMilliCPU reads a CPU limit back; no quota (-1) and no period give 0.
func QuotaToMilliCPU(quota, period int64) int64 {
	if quota == -1 || period == 0 {
		return 0
	}
	return quota * milliPerCPU / period
}

// SharesToWeight gives cpu.weight of a pod's or a tier's cgroup: linear, 1024
// shares weigh 39.
func SharesToWeight(shares uint64) uint64 {
	switch {
	case shares <= MinShares:
		return minWeight
	case shares >= MaxShares:
		return maxWeight
	}
	return minWeight + (shares-MinShares)*(maxWeight-minWeight)/(MaxShares-MinShares)
}

// WeightToShares undoes [SharesToWeight] as far as integers allow: the result
// has the same weight or the one below. A weight of 0 gives 0.
func WeightToShares(weight uint64) uint64 {
	if weight == 0 {
		return 0
	}
	return (min(weight, maxWeight)-minWeight)*(MaxShares-MinShares)/(maxWeight-minWeight) + MinShares
}

// ContainerWeight gives cpu.weight of a container's cgroup as OCI runtimes set
// it: quadratic in the logarithm, 1024 shares weigh 100. No shares (0) stay
// unset (0).
func ContainerWeight(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= MinShares:
		return minWeight
	case shares >= MaxShares:
		return maxWeight
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// ContainerWeightToShares undoes [ContainerWeight]: the largest shares whose
// weight is not above weight. A weight of 0 gives 0.
func ContainerWeightToShares(weight uint64) uint64 {
	switch {
	case weight == 0:
		return 0
	case weight >= maxWeight:
		return MaxShares
	}
	// The positive root of l²+125·l = 612·(log10(weight)+7/34).
	l := (math.Sqrt(125*125+4*612*(math.Log10(float64(weight))+7.0/34)) - 125) / 2
	s := uint64(math.Exp2(l))
	for ContainerWeight(s+1) <= weight { // rounding may have cost one
		s++
	}
	for s > MinShares && ContainerWeight(s) > weight {
		s--
	}
	return max(s, MinShares)
}
