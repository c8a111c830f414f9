package main

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission/defaults"
)

func checkDefault(line []byte) (map[string]any, error) {
	p, err := question[corev1.Pod](line)
	if err != nil {
		return nil, err
	}
	defaults.Pod(&p)
	return answer(p), nil
}
