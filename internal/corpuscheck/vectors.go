package main

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/cgroups/values"
	"github.com/lifepod/lifepod/pod"
)

// question reads the field "in" of a line.
func question[T any](line []byte) (T, error) { return field[T](line, "in") }

func field[T any](line []byte, name string) (v T, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return v, err
	}
	err = json.Unmarshal(fields[name], &v)
	return v, err
}

func answer(v any) map[string]any { return map[string]any{"out": v} }

func checkExpand(line []byte) (map[string]any, error) {
	in, err := question[struct {
		Env   map[string]string
		Input string
	}](line)
	return answer(pod.Expand(in.Input, pod.Lookup(in.Env))), err
}

func checkCPU(line []byte) (map[string]any, error) {
	in, err := question[struct{ MilliCPU int64 }](line)
	shares, quota := values.MilliCPUToShares(in.MilliCPU), values.MilliCPUToQuota(in.MilliCPU, values.DefaultPeriod)
	return answer(map[string]any{
		"shares":           shares,
		"sharesToMilliCPU": values.SharesToMilliCPU(shares),
		"quota100ms":       quota,
		"quota10ms":        values.MilliCPUToQuota(in.MilliCPU, values.DefaultPeriod/10),
		"quotaToMilliCPU":  values.QuotaToMilliCPU(quota, values.DefaultPeriod),
	}), err
}

func checkQuantity(line []byte) (map[string]any, error) {
	in, err := question[string](line)
	if err != nil {
		return nil, err
	}
	return answer(quantity(in)), nil
}

func quantity(s string) map[string]any {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"canonical": q.String(), "value": q.Value(), "milliValue": q.MilliValue()}
}

func checkCgroupName(line []byte) (map[string]any, error) {
	in, err := question[struct{ QOSDir, UID string }](line)
	if err != nil {
		return nil, err
	}
	class := map[string]values.QOS{"burstable": values.Burstable, "besteffort": values.BestEffort}[in.QOSDir]
	name, err := values.PodName(class, in.UID)
	return answer(map[string]any{"cgroupfs": name.Cgroupfs(), "systemd": name.Systemd()}), err
}
