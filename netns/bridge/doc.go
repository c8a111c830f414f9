// Package bridge is a pod network that needs no binary on the machine: a Linux
// bridge per root, a veth pair per pod, addresses from a pool kept in files,
// masquerade and host ports through nftables, all by netlink in process.
//
// # What it makes
//
// With the first pod: the bridge lp-ID, the nftables table lifepod-ID (family
// ip) and a claim on a range of addresses; IPv4 forwarding is switched on and
// its old value written down. With each pod: a veth pair, a lease, and elements
// in the table's maps for its host ports. With the last pod all of it goes and
// forwarding is set back, once no other root uses it.
//
// # Crashes
//
// Every change is written down before it is made, in files that name the
// attachment; Teardown works from these files and from what the kernel has, so
// it finishes what a killed process began. After a reboot the files of the last
// boot are thrown away.
//
// # Two processes, two roots
//
// Processes that share a root share Dir, and may work at the same time: a lock
// file orders them. Roots share the directory Shared, in which ranges, host
// ports and forwarding are claimed.
//
// # Host ports
//
// A port is bound for a moment before it is promised, so one that a program
// listens on is refused, as is one that another root promised. It is not held
// afterwards: forwarding must outlive the process that set it up. A program that
// listens on it later is not reached. Ports answer on all of the host's
// addresses, 127.0.0.1 included, and for pods, the pod itself included.
//
// # Caveats
//
// IPv4 only. An egress limit sits on the pod's own interface, so a container
// with CAP_NET_ADMIN in the pod's namespace can take it off.
package bridge
