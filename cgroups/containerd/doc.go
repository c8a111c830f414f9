// Package containerd makes, limits and measures the cgroups of pods as package
// cgroups does, through containerd's library (github.com/containerd/cgroups/v3,
// its packages cgroup1 and cgroup2), on cgroup v1, v2 and the mixture of both.
//
// Choose it where the kernel's files should be written by the code that a fleet
// already trusts. It adds 4 MB and a millisecond of start to a program. On v1 it
// makes a pod's cgroup in two to three times the time of package cgroups, and
// changes or measures one in four to nine times. Package cgroups needs no library
// and is what lifecycle/local uses by default. Both pass cgroups/cgroupstest and
// leave the same limits in the kernel's files.
//
// # What the library does
//
// It makes cgroups in every hierarchy, fills v1's cpusets, offers controllers to
// cgroups below (v2), writes limits and reads figures. Figures of v1 it reads in
// goroutines, for which it waits. It logs (logrus, through containerd's log
// package) when it cannot parse a file of the kernel.
//
// # What it does not
//
// For the rest a [Manager] is a *[cgroups.Manager]:
//
//   - Removal. The library's Delete refuses a cgroup with a process in it, which on
//     v1 nothing kills, and on v2 nothing waits for; a busy cgroup is tried five
//     times with sleeps of 10 to 80 ms, whatever a context says; and Delete of v1
//     leaves the unified hierarchy. So Remove, Prune, List and Limits are those of
//     package cgroups.
//   - Mounts. It looks for each v1 controller in a directory of that name, all
//     beside one another; [Open] refuses others.
//   - Undo. A failure leaves half a cgroup (v1), or takes away one that was there
//     before (v2); here what is new is removed, and nothing else.
//   - Errors. Of several cgroups that cannot offer a controller it names the last;
//     a [cgroups.Manager] finds the first, and says what to do.
//   - Numbers. It cannot write 0 to pids.max, nor max on v1. It knows no max for
//     memory on v2: the largest number is the same. Its conversion of CPU shares is
//     not Kubernetes' linear one, so the weight comes from cgroups/values. Of v2
//     files that Values.Unified names it gets memory.min, memory.low and
//     memory.high.
//   - Order. On v1 a new CPU period that does not fit the old quota is refused: the
//     quota is written first then.
//   - Figures. On v1 OOM kills are of one cgroup without those below; on v2 a cgroup
//     that is not there reads as zeros; on the mixture memory pressure is left out.
//
// Its cpusets of v1 do not set cgroup.clone_children: a runtime fills those below,
// as runc and crun do.
package containerd
