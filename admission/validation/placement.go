package validation

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// placement checks what says where a pod may run.
func (c *podCheck) placement(at *field.Path) {
	for i := range c.spec.Tolerations {
		c.toleration(at.Child("tolerations").Index(i), &c.spec.Tolerations[i])
	}
	if a := c.spec.Affinity; a != nil {
		c.nodeAffinity(at.Child("affinity", "nodeAffinity"), a.NodeAffinity)
		if p := a.PodAffinity; p != nil {
			c.podTerms(at.Child("affinity", "podAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if p := a.PodAntiAffinity; p != nil {
			c.podTerms(at.Child("affinity", "podAntiAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	for i := range c.spec.TopologySpreadConstraints {
		c.spread(at.Child("topologySpreadConstraints").Index(i), i)
	}
}

// annotatedTolerations checks the annotation that tolerations were once written
// in. Errors of its JSON name the API server's internal type.
func (c *podCheck) annotatedTolerations(at *field.Path) {
	type (
		TolerationOperator string
		TaintEffect        string
		Toleration         struct {
			Key               string
			Operator          TolerationOperator
			Value             string
			Effect            TaintEffect
			TolerationSeconds *int64
		}
	)
	text := c.pod.Annotations[corev1.TolerationsAnnotationKey]
	if text == "" {
		return
	}
	var list []Toleration
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		c.invalid(at, corev1.TolerationsAnnotationKey, strings.ReplaceAll(err.Error(), "validation.", "core."))
		return
	}
	for i, t := range list {
		c.toleration(at.Child(corev1.TolerationsAnnotationKey).Index(i), &corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value,
			Effect: corev1.TaintEffect(t.Effect), TolerationSeconds: t.TolerationSeconds,
		})
	}
}

func (c *podCheck) toleration(at *field.Path, t *corev1.Toleration) {
	op := at.Child("operator")
	if t.Key != "" {
		c.labelName(at.Child("key"), t.Key)
	} else if t.Operator != corev1.TolerationOpExists {
		c.invalid(op, t.Operator, `operator must be Exists when `+"`key`"+` is empty, which means "match all values and all keys"`)
	}
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		c.invalid(at.Child("effect"), t.Effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
	}
	switch t.Operator {
	case corev1.TolerationOpEqual, "":
		if msgs := validation.IsValidLabelValue(t.Value); len(msgs) > 0 {
			c.invalid(op, t.Value, strings.Join(msgs, ";"))
		}
	case corev1.TolerationOpExists:
		if t.Value != "" {
			c.invalid(op, t.Value, "value must be empty when `operator` is 'Exists'")
		}
	case corev1.TolerationOpLt, corev1.TolerationOpGt: // known, but off in 1.37
		c.add(field.NotSupported(op, t.Operator, []corev1.TolerationOperator{
			corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpLt, corev1.TolerationOpGt}))
	default:
		oneOf(&c.report, op, t.Operator, corev1.TolerationOpEqual, corev1.TolerationOpExists)
	}
	if t.Effect != "" {
		oneOf(&c.report, at.Child("effect"), t.Effect,
			corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
	}
}

func (c *podCheck) labelName(at *field.Path, key string) {
	c.add(metav1validation.ValidateLabelName(key, at)...)
}

func (c *podCheck) weight(at *field.Path, w int32) {
	if w < 1 || w > 100 {
		c.invalid(at.Child("weight"), w, "must be in the range 1-100")
	}
}

func (c *podCheck) nodeAffinity(at *field.Path, a *corev1.NodeAffinity) {
	if a == nil {
		return
	}
	if s := a.RequiredDuringSchedulingIgnoredDuringExecution; s != nil {
		terms := at.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
		if len(s.NodeSelectorTerms) == 0 {
			c.required(terms, "must have at least one node selector term")
		}
		for i := range s.NodeSelectorTerms {
			c.nodeTerm(terms.Index(i), &s.NodeSelectorTerms[i], true)
		}
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		p, here := &a.PreferredDuringSchedulingIgnoredDuringExecution[i], at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		c.weight(here, p.Weight)
		c.nodeTerm(here.Child("preference"), &p.Preference, false)
	}
}

// nodeTerm checks one term; the values of preferred ones may be anything.
func (c *podCheck) nodeTerm(at *field.Path, t *corev1.NodeSelectorTerm, checkValues bool) {
	for i, r := range t.MatchExpressions {
		here := at.Child("matchExpressions").Index(i)
		values := here.Child("values")
		switch r.Operator {
		case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
			if len(r.Values) == 0 {
				c.required(values, "must be specified when `operator` is 'In' or 'NotIn'")
			}
		case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				c.forbidden(values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
			}
		case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
			if len(r.Values) != 1 {
				c.required(values, "must be specified single value when `operator` is 'Lt' or 'Gt'")
			}
		default:
			c.invalid(here.Child("operator"), r.Operator, "not a valid selector operator")
		}
		c.labelName(here.Child("key"), r.Key)
		for j, v := range r.Values {
			if checkValues {
				c.each(values.Index(j), v, validation.IsValidLabelValue(v))
			}
		}
	}
	for i, r := range t.MatchFields {
		c.nodeField(at.Child("matchFields").Index(i), &r)
	}
}

func (c *podCheck) nodeField(at *field.Path, r *corev1.NodeSelectorRequirement) {
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) != 1 {
			c.required(at.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
		}
	default:
		c.invalid(at.Child("operator"), r.Operator, "not a valid selector operator")
	}
	if r.Key != metav1.ObjectNameField {
		c.invalid(at.Child("key"), r.Key, "not a valid field selector key")
		return
	}
	for i, v := range r.Values {
		c.subdomain(at.Child("values").Index(i), v)
	}
}

func (c *podCheck) podTerms(at *field.Path, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for i := range required {
		c.podTerm(at.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i), &required[i])
	}
	for i := range preferred {
		here := at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		c.weight(here, preferred[i].Weight)
		c.podTerm(here.Child("podAffinityTerm"), &preferred[i].PodAffinityTerm)
	}
}

func (c *podCheck) podTerm(at *field.Path, t *corev1.PodAffinityTerm) {
	c.selector(at.Child("labelSelector"), t.LabelSelector)
	c.selector(at.Child("namespaceSelector"), t.NamespaceSelector)
	for _, name := range t.Namespaces {
		c.each(at.Child("namespace"), name, validation.IsDNS1123Label(name))
	}
	c.labelKeys(at, t.MatchLabelKeys, t.MismatchLabelKeys, t.LabelSelector)
	if t.TopologyKey == "" {
		c.required(at.Child("topologyKey"), "can not be empty")
	}
	c.labelName(at.Child("topologyKey"), t.TopologyKey)
}

func (c *podCheck) selector(at *field.Path, s *metav1.LabelSelector) {
	c.add(metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, at)...)
}

// labelKeys checks matchLabelKeys and mismatchLabelKeys after they were merged
// into the selector: a key that stands there twice was there before.
func (c *podCheck) labelKeys(at *field.Path, match, mismatch []string, s *metav1.LabelSelector) {
	for _, list := range []struct {
		name string
		keys []string
	}{{"matchLabelKeys", match}, {"mismatchLabelKeys", mismatch}} {
		if len(list.keys) > 0 && s == nil {
			c.forbidden(at.Child(list.name), "must not be specified when labelSelector is not set")
			continue
		}
		for i, key := range list.keys {
			c.labelName(at.Child(list.name).Index(i), key)
		}
	}
	index := map[string]int{}
	for i, key := range match {
		index[key] = i
	}
	if s != nil {
		seen := unique{}
		for key := range s.MatchLabels {
			seen[key] = true
		}
		for _, e := range s.MatchExpressions {
			if i, ok := index[e.Key]; seen.again(e.Key) && ok {
				c.invalid(at.Index(i), e.Key, "exists in both matchLabelKeys and labelSelector")
			}
		}
	}
	for i, key := range match {
		if contains(mismatch, key) {
			c.invalid(at.Child("matchLabelKeys").Index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys")
		}
	}
}

func (c *podCheck) spread(at *field.Path, i int) {
	all := c.spec.TopologySpreadConstraints
	t := &all[i]
	positive := func(at *field.Path, v int32) {
		if v <= 0 {
			c.invalid(at, int64(v), "must be greater than zero")
		}
	}
	positive(at.Child("maxSkew"), t.MaxSkew)
	if t.TopologyKey == "" {
		c.required(at.Child("topologyKey"), "can not be empty")
	}
	oneOf(&c.report, at.Child("whenUnsatisfiable"), t.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)
	for _, other := range all[i+1:] {
		if t.TopologyKey == other.TopologyKey && t.WhenUnsatisfiable == other.WhenUnsatisfiable {
			c.add(field.Duplicate(at.Child("{topologyKey, whenUnsatisfiable}"), sprintf("{%v, %v}", t.TopologyKey, t.WhenUnsatisfiable)))
			break
		}
	}
	if t.MinDomains != nil {
		positive(at.Child("minDomains"), *t.MinDomains)
		if t.WhenUnsatisfiable != corev1.DoNotSchedule {
			c.invalid(at.Child("minDomains"), t.MinDomains,
				sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, t.WhenUnsatisfiable))
		}
	}
	maybeOneOf(&c.report, at.Child("nodeAffinityPolicy"), t.NodeAffinityPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
	maybeOneOf(&c.report, at.Child("nodeTaintsPolicy"), t.NodeTaintsPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
	c.labelKeys(at, t.MatchLabelKeys, nil, t.LabelSelector)
	c.selector(at.Child("labelSelector"), t.LabelSelector)
}
