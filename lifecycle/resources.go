package lifecycle

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/cgroups/values"
)

// resources reads back what a runtime applies to a container; nil when it does
// not say.
func resources(r *runtimeapi.ContainerResources) *corev1.ResourceRequirements {
	l := r.GetLinux()
	if l == nil {
		return nil
	}
	out := &corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	if l.CpuShares > 0 {
		out.Requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(values.SharesToMilliCPU(uint64(l.CpuShares)), resource.DecimalSI)
	}
	if l.CpuQuota > 0 && l.CpuPeriod > 0 {
		out.Limits[corev1.ResourceCPU] = *resource.NewMilliQuantity(values.QuotaToMilliCPU(l.CpuQuota, l.CpuPeriod), resource.DecimalSI)
	}
	if l.MemoryLimitInBytes > 0 {
		out.Limits[corev1.ResourceMemory] = *resource.NewQuantity(l.MemoryLimitInBytes, resource.BinarySI)
	}
	return out
}
