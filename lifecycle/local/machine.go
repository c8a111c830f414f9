package local

import (
	"bufio"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/lifecycle"
)

const goarch = runtime.GOARCH

// maxPods is Kubernetes' own default.
const maxPods = 110

// describeMachine fills in what pods and the scheduler see of this machine.
func (n *Node) describeMachine() error {
	memory := totalMemory()
	list := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(maxPods, resource.DecimalSI),
	}
	if disk := diskSize(n.o.Root); disk > 0 {
		list[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(disk, resource.BinarySI)
	}
	ips, err := hostIPs()
	if err != nil {
		return err
	}
	n.node = lifecycle.Node{
		Name: n.name, HostIPs: ips, ClusterDNS: n.o.ClusterDNS, ClusterDomain: n.o.ClusterDomain,
		Capacity: list, Allocatable: list.DeepCopy(),
	}
	return nil
}

// totalMemory is 0 where /proc does not tell.
func totalMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if rest, ok := strings.CutPrefix(sc.Text(), "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// hostIPs are the machine's addresses for a status: the first IPv4 and the first
// IPv6 one that are global, or loopback where there is no other.
func hostIPs() ([]string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, errors.Join(errors.New("list the machine's addresses"), err)
	}
	var v4, v6 string
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || !ip.IP.IsGlobalUnicast() {
			continue
		}
		if ip.IP.To4() != nil && v4 == "" {
			v4 = ip.IP.String()
		} else if ip.IP.To4() == nil && v6 == "" {
			v6 = ip.IP.String()
		}
	}
	switch {
	case v4 != "" && v6 != "":
		return []string{v4, v6}, nil
	case v4 != "":
		return []string{v4}, nil
	case v6 != "":
		return []string{v6}, nil
	}
	return []string{"127.0.0.1"}, nil
}
