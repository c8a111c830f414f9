package plan_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const s = time.Second

func hooks(pre, post bool) *corev1.Lifecycle {
	h := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"hook"}}}
	l := &corev1.Lifecycle{}
	if pre {
		l.PreStop = h
	}
	if post {
		l.PostStart = h
	}
	return l
}

// The stories are those of the kubelet's own traces of the same names.

func TestStoryPlain(t *testing.T) {
	st := tell(simplePod())
	st.whole = true
	st.delete(6*s, 30*s)
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0   Pulled spec.containers{app} Container image "img" already present on machine and can be accessed by the pod
		0 start app#0
		0   Created spec.containers{app} Container created
		0   Started spec.containers{app} Container started
		0 = Running app:running!
		6 delete 30s
		6   Killing spec.containers{app} Stopping container app
		6 stop app 30s
		6 = Running app:143/Error
		6 stop sandbox
		6 = Failed app:143/Error`)
}

func TestStoryAlways1(t *testing.T) {
	st := tell(simplePod())
	st.lives["app"] = []life{{lasts: s, exit: 1}}
	st.w.until(epoch.Add(15 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 = Running app:running!
		1 = Running app:1/Error
		1 start app#1
		1 = Running app:running#1(last 1)!
		2   BackOff spec.containers{app} Back-off restarting failed container app in pod p_default(u1)
		2 = Running app:1/Error#1(last 1)
		2 = Running app:CrashLoopBackOff#1(last 1)
		12 start app#2
		12 = Running app:running#2(last 1)!
		13   BackOff spec.containers{app} Back-off restarting failed container app in pod p_default(u1)
		13 = Running app:1/Error#2(last 1)
		13 = Running app:CrashLoopBackOff#2(last 1)`)
}

func TestStorySidecarOrder(t *testing.T) {
	pod := simplePod()
	sidecar := func(name string) corev1.Container {
		return corev1.Container{Name: name, Image: "img", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways), Lifecycle: hooks(true, false)}
	}
	pod.Spec.InitContainers = []corev1.Container{sidecar("s1"), {Name: "i1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}, sidecar("s2")}
	pod.Spec.Containers[0].Lifecycle = hooks(true, false)
	st := tell(pod)
	st.lives = map[string][]life{"i1": {{lasts: s}}, "s2": {{term: s}}, "app": {{term: 2 * s}}}
	st.hooks = map[string][]hook{"app.preStop": {{takes: s}}, "s1.preStop": {{takes: s / 2}}, "s2.preStop": {{takes: s / 2}}}
	st.delete(18*s, 10*s)
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending s1:PodInitializing i1:PodInitializing s2:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start s1#0
		0 = Pending s1:running! i1:PodInitializing s2:PodInitializing app:PodInitializing
		0 start i1#0
		0 = Pending s1:running! i1:running s2:PodInitializing app:PodInitializing
		1 = Pending s1:running! i1:0/Completed! s2:PodInitializing app:PodInitializing
		1 start s2#0
		1 = Pending s1:running! i1:0/Completed! s2:running! app:PodInitializing
		1 start app#0
		1 = Running s1:running! i1:0/Completed! s2:running! app:running!
		18 delete 10s
		18   Killing spec.initContainers{s1} Stopping container s1
		18   Killing spec.initContainers{s2} Stopping container s2
		18   Killing spec.containers{app} Stopping container app
		18 preStop s1 10s
		18 preStop s2 10s
		18 preStop app 10s
		19 stop app 9s
		21 = Running s1:running! i1:0/Completed! s2:running! app:143/Error
		21 stop s2 8s
		22 = Running s1:running! i1:0/Completed! s2:143/Error app:143/Error
		22 stop s1 7s
		22 = Running s1:143/Error i1:0/Completed! s2:143/Error app:143/Error
		22 stop sandbox
		22 = Failed s1:143/Error i1:0/Completed! s2:143/Error app:143/Error`)
}

func TestStoryPoststartFail(t *testing.T) {
	pod := simplePod()
	pod.Spec.TerminationGracePeriodSeconds = ptr(int64(5))
	pod.Spec.Containers[0].Lifecycle = hooks(false, true)
	st := tell(pod)
	st.hooks["app.postStart"] = []hook{{s / 5, "broken"}, {s / 5, "broken"}, {}}
	st.w.until(epoch.Add(20 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 postStart app
		0.2   FailedPostStartHook spec.containers{app} PostStartHook failed
		0.2   Killing spec.containers{app} FailedPostStartHook
		0.2 stop app 5s
		0.2 = Running app:PostStartHookError(last 143)
		0.2 start app#1
		0.2 postStart app
		0.4   FailedPostStartHook spec.containers{app} PostStartHook failed
		0.4   Killing spec.containers{app} FailedPostStartHook
		0.4 stop app 5s
		0.4   BackOff spec.containers{app} Back-off restarting failed container app in pod p_default(u1)
		0.4 = Running app:PostStartHookError#1(last 143)
		0.4 = Running app:CrashLoopBackOff#1(last 143)
		10.4 start app#2
		10.4 postStart app
		10.4 = Running app:running#2(last 143)!`)
}

func TestStoryPullRetry(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers[0].Image = "far"
	st := tell(pod)
	st.whole = true
	st.pulls = []string{"no route", "no route", ""}
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0   Pulling spec.containers{app} Pulling image "far"
		0 pull app
		0   Failed spec.containers{app} Failed to pull image "far": no route
		0   Failed spec.containers{app} Error: ErrImagePull
		0   BackOff spec.containers{app} Back-off pulling image "far"
		0   Failed spec.containers{app} Error: ImagePullBackOff
		0 = Pending app:ErrImagePull
		0 = Pending app:ImagePullBackOff
		10   Pulling spec.containers{app} Pulling image "far"
		10 pull app
		10   Failed spec.containers{app} Failed to pull image "far": no route
		10   Failed spec.containers{app} Error: ErrImagePull
		10   BackOff spec.containers{app} Back-off pulling image "far"
		10   Failed spec.containers{app} Error: ImagePullBackOff
		10 = Pending app:ErrImagePull
		10 = Pending app:ImagePullBackOff
		30   Pulling spec.containers{app} Pulling image "far"
		30 pull app
		30   Pulled spec.containers{app} Successfully pulled image "far" in 0s (0s including waiting). Image size: 1 bytes.
		30 start app#0
		30   Created spec.containers{app} Container created
		30   Started spec.containers{app} Container started
		30 = Running app:running!`)
}

func TestStoryDeleteTwice(t *testing.T) {
	st := tell(simplePod())
	st.lives["app"] = []life{{term: -1}}
	st.delete(5*s, 20*s)
	st.delete(8*s, 6*s) // 3 s from now
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 = Running app:running!
		5 delete 20s
		5   Killing spec.containers{app} Stopping container app
		5 stop app 20s
		8 delete 6s
		8 cancel container/app-2
		8 stop app 3s
		11 = Running app:137/Error
		11 stop sandbox
		11 = Failed app:137/Error`)
}

func TestStorySidecarPrestopHang(t *testing.T) {
	pod := simplePod()
	pod.Spec.InitContainers = []corev1.Container{{Name: "s1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways), Lifecycle: hooks(true, false)}}
	st := tell(pod)
	st.lives = map[string][]life{"s1": {{term: s}}, "app": {{term: s}}}
	st.hooks["s1.preStop"] = []hook{{takes: 30 * s}}
	st.delete(4*s, 5*s)
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending s1:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start s1#0
		0 = Pending s1:running! app:PodInitializing
		0 start app#0
		0 = Running s1:running! app:running!
		4 delete 5s
		4   Killing spec.initContainers{s1} Stopping container s1
		4   Killing spec.containers{app} Stopping container app
		4 preStop s1 5s
		4 stop app 5s
		5 = Running s1:running! app:143/Error
		9   FailedPreStopHook spec.initContainers{s1} PreStopHook failed
		9 stop s1 2s
		10 = Running s1:143/Error app:143/Error
		10 stop sandbox
		10 = Failed s1:143/Error app:143/Error`)
}

func TestStoryDeadline(t *testing.T) {
	pod := simplePod()
	pod.Spec.ActiveDeadlineSeconds = ptr(int64(6))
	st := tell(pod)
	st.lives["app"] = []life{{term: s}}
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 = Running app:running!
		5.4   DeadlineExceeded  Pod was active on the node longer than the specified deadline
		5.4   Killing spec.containers{app} Stopping container app
		5.4 stop app 30s
		6.4 = Running app:143/Error
		6.4 stop sandbox
		6.4 = Failed DeadlineExceeded app:143/Error`)
}

func TestStorySidecarCrash(t *testing.T) {
	pod := simplePod()
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "s1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)}}
	st := tell(pod)
	st.lives = map[string][]life{"s1": {{lasts: 2 * s, exit: 1}}, "app": {{lasts: 20 * s}}}
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending s1:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start s1#0
		0 = Pending s1:running! app:PodInitializing
		0 start app#0
		0 = Running s1:running! app:running!
		2 = Running s1:1/Error app:running!
		2 start s1#1
		2 = Running s1:running#1(last 1)! app:running!
		4   BackOff spec.initContainers{s1} Back-off restarting failed container s1 in pod p_default(u1)
		4 = Running s1:1/Error#1(last 1) app:running!
		4 = Running s1:CrashLoopBackOff#1(last 1) app:running!
		14 start s1#2
		14 = Running s1:running#2(last 1)! app:running!
		16   BackOff spec.initContainers{s1} Back-off restarting failed container s1 in pod p_default(u1)
		16 = Running s1:1/Error#2(last 1) app:running!
		16 = Running s1:CrashLoopBackOff#2(last 1) app:running!
		20 = Running s1:CrashLoopBackOff#2(last 1) app:0/Completed
		20 stop sandbox
		20 = Succeeded s1:1/Error#2(last 1) app:0/Completed`)
}

func TestStorySandboxDies(t *testing.T) {
	pod := simplePod()
	pod.Spec.InitContainers = []corev1.Container{{Name: "i1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}}
	st := tell(pod)
	st.lives = map[string][]life{"i1": {{lasts: s}}}
	st.w.until(epoch.Add(5 * s))
	st.w.now = epoch.Add(5 * s)
	st.w.boxes[0].Ready = false
	st.w.exit(st.w.containers[1], 137, "", st.w.now)
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending i1:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start i1#0
		0 = Pending i1:running app:PodInitializing
		1 = Pending i1:0/Completed! app:PodInitializing
		1 start app#0
		1 = Running i1:0/Completed! app:running!
		5   SandboxChanged  Pod sandbox changed, it will be killed and re-created.
		5 = Running i1:0/Completed! app:137/Error
		5 stop sandbox
		5 sandbox#1
		5 start i1#1
		5 = Pending i1:running#1(last 0) app:137/Error
		6 = Running i1:0/Completed#1(last 0)! app:137/Error
		6 start app#1
		6 = Running i1:0/Completed#1(last 0)! app:running#1(last 137)!`)
}

func TestStoryRestartAll(t *testing.T) {
	pod := simplePod()
	pod.Spec.InitContainers = []corev1.Container{{Name: "i1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "boss", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: ptr(corev1.ContainerRestartPolicyNever),
		RestartPolicyRules: []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestartAllContainers,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}})
	st := tell(pod)
	st.lives = map[string][]life{"i1": {{lasts: s}}, "boss": {{lasts: 2 * s, exit: 42}, {}}}
	st.w.until(epoch.Add(60 * s))
	st.is(t, `
		0 = Pending i1:PodInitializing app:PodInitializing boss:PodInitializing
		0 sandbox#0
		0 start i1#0
		0 = Pending i1:running app:PodInitializing boss:PodInitializing
		1 = Pending i1:0/Completed! app:PodInitializing boss:PodInitializing
		1 start app#0
		1 = Pending i1:0/Completed! app:running! boss:PodInitializing
		1 start boss#0
		1 = Running i1:0/Completed! app:running! boss:running!
		3   Killing spec.containers{app} killing
		3 = Running i1:0/Completed! app:running! boss:42/Error
		3 stop app 2s
		3 = Running i1:0/Completed! app:143/Error boss:42/Error
		3 = Running i1:0/Completed! app:RestartingAllContainers#1(last 137) boss:42/Error
		3 = Running i1:RestartingAllContainers#1(last 137) app:RestartingAllContainers#1(last 137) boss:42/Error
		3 = Running i1:RestartingAllContainers#1(last 137) app:RestartingAllContainers#1(last 137) boss:RestartingAllContainers#1(last 137)
		3 = Running i1:PodInitializing#1(last 137) app:PodInitializing#1(last 137) boss:PodInitializing#1(last 137)
		3 start i1#1
		3 = Pending i1:running#1(last 137) app:PodInitializing#1(last 137) boss:PodInitializing#1(last 137)
		4 = Running i1:0/Completed#1(last 137)! app:PodInitializing#1(last 137) boss:PodInitializing#1(last 137)
		4 start app#1
		4 = Running i1:0/Completed#1(last 137)! app:running#1(last 137)! boss:PodInitializing#1(last 137)
		4 start boss#1
		4 = Running i1:0/Completed#1(last 137)! app:running#1(last 137)! boss:running#1(last 137)!`)
}
