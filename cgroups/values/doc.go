// Package values has Kubernetes' cgroup arithmetic: numbers in, numbers out.
//
// Nothing here reads a clock, a file or an API object. CPU requests and limits
// are in thousandths of a CPU, memory in bytes, quotas and periods in
// microseconds.
//
// There are two formulas from v1 shares to the v2 weight, and both are in use on
// one node: Kubernetes weighs its own cgroups (pods, QoS tiers) by the linear
// one, [SharesToWeight], while OCI runtimes weigh containers by the quadratic
// one, [ContainerWeight], which keeps the default of 1024 shares at the v2
// default of 100.
package values
