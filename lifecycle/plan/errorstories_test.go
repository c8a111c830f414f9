package plan_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestStoryLivenessTwice: a container that we end ourselves is started again at
// once, and its ends count only from the next one on, as in the kubelet's trace
// probe-tcp-refused.
func TestStoryLivenessTwice(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers[0].LivenessProbe = &corev1.Probe{PeriodSeconds: 2, TerminationGracePeriodSeconds: ptr(int64(2))}
	st := tell(pod)
	st.live = 4 * s
	st.w.until(epoch.Add(24 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 = Running app:running!
		4   Killing spec.containers{app} Container app failed liveness probe, will be restarted
		4 stop app 2s
		4 = Running app:143/Error
		4 start app#1
		4 = Running app:running#1(last 143)!
		8   Killing spec.containers{app} Container app failed liveness probe, will be restarted
		8 stop app 2s
		8 = Running app:143/Error#1(last 143)
		8 start app#2
		8 = Running app:running#2(last 143)!
		12   Killing spec.containers{app} Container app failed liveness probe, will be restarted
		12 stop app 2s
		12   BackOff spec.containers{app} Back-off restarting failed container app in pod p_default(u1)
		12 = Running app:143/Error#2(last 143)
		12 = Running app:CrashLoopBackOff#2(last 143)
		22 start app#3
		22 = Running app:running#3(last 143)!`)
}

func TestStoryStartError(t *testing.T) {
	st := tell(simplePod())
	st.startErrors = []string{"RunContainerError", "RunContainerError", ""}
	st.w.until(epoch.Add(24 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0   Failed spec.containers{app} Error: not found
		0 = Running app:RunContainerError(last 128)
		0 start app#1
		0   Failed spec.containers{app} Error: not found
		0   BackOff spec.containers{app} Back-off restarting failed container app in pod p_default(u1)
		0 = Running app:RunContainerError#1(last 128)
		0 = Running app:CrashLoopBackOff#1(last 128)
		10 start app#2
		10 = Running app:running#2(last 128)!`)
}

func TestStoryCreateError(t *testing.T) {
	st := tell(simplePod())
	st.startErrors = []string{"CreateContainerError", "CreateContainerError", ""}
	st.w.until(epoch.Add(24 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0   Failed spec.containers{app} Error: no
		0 = Pending app:CreateContainerError
		0 start app#0
		0   Failed spec.containers{app} Error: no
		10 start app#0
		10 = Running app:running!`)
}

func TestStoryImageNever(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = "far", corev1.PullNever
	st := tell(pod)
	st.w.until(epoch.Add(12 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0   ErrImageNeverPull spec.containers{app} Container image "far" is not present with pull policy of Never
		0   Failed spec.containers{app} Error: ErrImageNeverPull
		0 = Pending app:ErrImageNeverPull
		0   ErrImageNeverPull spec.containers{app} Container image "far" is not present with pull policy of Never
		0   Failed spec.containers{app} Error: ErrImageNeverPull
		10   ErrImageNeverPull spec.containers{app} Container image "far" is not present with pull policy of Never
		10   Failed spec.containers{app} Error: ErrImageNeverPull`)
}

// TestStoryImageInvalid: nobody is asked for an image whose name is none, and
// the containers beside it are started all the same.
func TestStoryImageInvalid(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers = append(pod.Spec.Containers, *pod.Spec.Containers[0].DeepCopy())
	pod.Spec.Containers[0].Image = "UPPER"
	pod.Spec.Containers[1].Name = "next"
	st := tell(pod)
	st.w.until(epoch.Add(5 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating next:ContainerCreating
		0 sandbox#0
		0   InspectFailed spec.containers{app} Failed to apply default image tag "UPPER": couldn't parse image name "UPPER": invalid reference format: repository name (library/UPPER) must be lowercase
		0   Failed spec.containers{app} Error: InvalidImageName
		0   InspectFailed spec.containers{app} Failed to apply default image tag "UPPER": couldn't parse image name "UPPER": invalid reference format: repository name (library/UPPER) must be lowercase
		0   Failed spec.containers{app} Error: InvalidImageName
		0 = Pending app:InvalidImageName next:ContainerCreating
		0 start next#0
		0 = Pending app:InvalidImageName next:running!`)
}

// TestStoryDeleteInPostStart: the hook is given up, and the container stopped.
func TestStoryDeleteInPostStart(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers[0].Lifecycle = hooks(false, true)
	st := tell(pod)
	st.hooks["app.postStart"] = []hook{{takes: time.Hour}}
	st.delete(5*s, 6*s)
	st.w.until(epoch.Add(20 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 start app#0
		0 postStart app
		5 delete 6s
		5 cancel poststart/app-2
		5   Killing spec.containers{app} Stopping container app
		5 stop app 6s
		5 = Running app:143/Error
		5 stop sandbox
		5 = Failed app:143/Error`)
}

// TestStoryDeleteInPull: the pull is given up, and nothing is started.
func TestStoryDeleteInPull(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers[0].Image = "far"
	st := tell(pod)
	st.pullTime = time.Hour
	st.delete(5*s, 6*s)
	st.w.until(epoch.Add(20 * s))
	st.is(t, `
		0 = Pending app:ContainerCreating
		0 sandbox#0
		0 pull app
		5 delete 6s
		5 cancel image/app
		5 stop sandbox
		5 = Failed app:137/ContainerStatusUnknown`)
}

func TestStoryInitFailNever(t *testing.T) {
	pod := simplePod()
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "i1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}, {Name: "i2", Image: "img"}}
	st := tell(pod)
	st.lives["i1"] = []life{{lasts: s, exit: 3}}
	st.w.until(epoch.Add(20 * s))
	st.is(t, `
		0 = Pending i1:PodInitializing i2:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start i1#0
		0 = Pending i1:running i2:PodInitializing app:PodInitializing
		1 = Pending i1:3/Error i2:PodInitializing app:PodInitializing
		1 stop sandbox
		1 = Failed i1:3/Error i2:PodInitializing app:PodInitializing`)
}

func TestStoryInitOOMExit0Never(t *testing.T) {
	pod := simplePod()
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.InitContainers = []corev1.Container{{Name: "i1", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}}
	st := tell(pod)
	st.lives["i1"] = []life{{lasts: s, reason: "OOMKilled"}}
	st.w.until(epoch.Add(20 * s))
	st.is(t, `
		0 = Pending i1:PodInitializing app:PodInitializing
		0 sandbox#0
		0 start i1#0
		0 = Pending i1:running app:PodInitializing
		1 = Pending i1:0/OOMKilled! app:PodInitializing
		1 stop sandbox`)
}
