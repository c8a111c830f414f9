package boot

import "os"

// monitorSlack is by how many nanoseconds the kernel may let a thread sleep longer.
const monitorSlack = "2000000"

// Quiet has the Go runtime's monitor wake up every few milliseconds, not every 20
// µs as it does where there is always work: in a process that does one thing at a
// time and is over in ten milliseconds that is a tenth of its time. It changes all
// threads but the first, which is to execute a program.
func Quiet() {
	first, _ := os.Readlink("/proc/self") // as this /proc numbers it, maybe of another PID namespace
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if t.Name() != first {
			_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte(monitorSlack), 0)
		}
	}
}
