package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed guest.sh
var guest string

// errFailed says that the machine ran and a test did not pass.
var errFailed = errors.New("tests failed")

// boot runs tests in one machine and reports on them.
func boot(ctx context.Context, o options, tests []test, flags []string) error {
	if os.Getuid() != 0 {
		return errors.New("running the machine needs root, to share files with it")
	}
	release, err := kernelRelease(o.cache)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.cache, "run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeGuest(o, dir, release, tests, flags); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	share, err := shareRoot(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = share.Process.Kill(); _ = share.Wait() }()

	start := time.Now()
	empty := &find{text: []byte("testing: warning: no tests to run\n")}
	bootErr := qemu(ctx, o, dir, release, io.MultiWriter(os.Stdout, empty))
	console, _ := os.ReadFile(filepath.Join(dir, "console"))
	if o.verbose {
		fmt.Fprintf(os.Stderr, "%s\nvm: %.1f s in all\n", console, time.Since(start).Seconds())
	}
	err = report(ctx, dir, tests, bootErr, string(console))
	if empty.found {
		return errors.Join(err, fmt.Errorf("%w: a program had no test to run", errFailed))
	}
	return err
}

// find is a writer that looks for text in what is written.
type find struct {
	text, last []byte
	found      bool
}

func (f *find) Write(b []byte) (int, error) {
	f.last = append(f.last, b...)
	f.found = f.found || bytes.Contains(f.last, f.text)
	f.last = slices.Clone(f.last[max(0, len(f.last)-len(f.text)+1):])
	return len(b), nil
}

// writeGuest writes the scripts that the machine runs.
func writeGuest(o options, dir, release string, tests []test, flags []string) error {
	libs, _ := filepath.Glob(filepath.Join(o.cache, "tools/usr/lib/*-linux-gnu"))
	systemd := "0"
	if o.systemd {
		systemd = "1"
	}
	vars := fmt.Sprintf("CACHE=%s RUN=%s RELEASE=%s SYSTEMD=%s LIBS=%s\n",
		quote(o.cache), quote(dir), release, systemd, quote(strings.Join(libs, ":")))
	busybox := filepath.Join(o.cache, "tools/bin/busybox")
	files := map[string]string{
		"guest.sh": vars + guest,
		"init":     fmt.Sprintf("#!%s sh\nexec %s sh %s below\n", busybox, busybox, quote(filepath.Join(dir, "guest.sh"))),
		"tests.sh": testScript(busybox, tests, flags),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// testScript runs each test and writes its status and seconds to a port of their
// own, so that nothing that a test prints can pass for them.
func testScript(busybox string, tests []test, flags []string) string {
	var b strings.Builder
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if slices.Contains([]string{"PATH", "HOME", "LANG"}, name) || strings.HasPrefix(name, "LIFEPOD_") {
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
		}
	}
	b.WriteString("export TMPDIR=/run/tmp LIFEPOD_VM=1 LIFEPOD_VM_TESTS=1 LIFEPOD_ROOT_TESTS=1\n")
	var args string
	for _, f := range flags {
		args += " " + quote(f)
	}
	b.WriteString("exec >/run/vm/out 2>&1 </dev/null\n")
	for i, t := range tests {
		args, title := args, "== "+t.name
		if t.run != "" {
			args += " " + quote("-test.run="+t.run)
			title += " -test.run=" + t.run
		}
		if len(tests) > 1 {
			fmt.Fprintf(&b, "echo %s\n", quote(title))
		}
		fmt.Fprintf(&b, "cd %s\nread -r began _ </proc/uptime\n%s%s\nstatus=$?\nread -r ended _ </proc/uptime\n", quote(t.dir), quote(t.file), args)
		fmt.Fprintf(&b, "echo \"%d $status $began $ended\" >>/run/vm/status\n", i)
	}
	fmt.Fprintf(&b, "%s sync\n", busybox)
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shareRoot serves this machine's root file system read-only over virtiofs.
func shareRoot(ctx context.Context, dir string) (*exec.Cmd, error) {
	daemon := virtiofsd()
	if daemon == "" {
		return nil, errors.New("virtiofsd is missing: run hack/vm/run --setup")
	}
	socket, root := filepath.Join(dir, "fs.sock"), filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, err
	}
	args := "--shared-dir=" + quote(root) + " --sandbox=chroot --cache=always --xattr"
	if strings.Contains(daemon, "/qemu/") { // the older one, in C
		args = "-o source=" + quote(root) + " -o sandbox=chroot -o cache=always -o xattr"
	}
	script := fmt.Sprintf("mount --bind / %[1]s && mount -o remount,ro,bind %[1]s && exec %[2]s --socket-path=%[3]s %[4]s",
		quote(root), daemon, quote(socket), args)
	cmd := exec.CommandContext(ctx, "unshare", "-m", "--propagation", "private", "sh", "-c", script)
	log, err := os.Create(filepath.Join(dir, "fs.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("share files: %w", err)
	}
	for range 200 {
		if _, err := os.Stat(socket); err == nil {
			return cmd, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return nil, fmt.Errorf("share files: no socket after 10 s: %s", text)
}

// acceleration gives qemu's arguments. A stock kernel needs real virtualisation:
// a /dev/kvm on a processor that shows none would emulate it badly.
func acceleration() []string {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	words := strings.Fields(string(cpu))
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
		f.Close()
		if slices.Contains(words, "vmx") || slices.Contains(words, "svm") {
			return []string{"-accel", "kvm", "-cpu", "host"}
		}
	}
	// One thread for all processors: with several, a kernel that patches its own
	// code now and then runs into the old one and panics (1 of 6 boots).
	return []string{"-accel", "tcg,thread=single", "-cpu", "Nehalem"}
}

func qemu(ctx context.Context, o options, dir, release string, out io.Writer) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	kernel := "root=rootfs rootfstype=virtiofs ro init=" + in("init") +
		" console=ttyS0 quiet panic=-1 psi=1 tsc=reliable no_timer_check mitigations=off audit=0 apparmor=0 selinux=0" +
		" random.trust_cpu=on rcupdate.rcu_expedited=1 systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"
	mem := strconv.Itoa(o.memory) + "M"
	args := append(acceleration(), "-M", "q35", "-m", mem, "-smp", strconv.Itoa(o.cpus),
		"-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
		"-kernel", filepath.Join(o.cache, "kernel", "boot", "vmlinuz-"+release), "-append", kernel,
		"-object", "memory-backend-memfd,id=mem,share=on,size="+mem, "-numa", "node,memdev=mem",
		"-chardev", "socket,id=fs,path="+in("fs.sock"), "-device", "vhost-user-fs-pci,chardev=fs,tag=rootfs",
		"-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-chardev", "file,id=out,path=/dev/fd/3", "-device", "virtserialport,chardev=out,name=out,nr=1",
		"-chardev", "file,id=status,path="+in("status"), "-device", "virtserialport,chardev=status,name=status,nr=2",
		"-serial", "file:"+in("console"))
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{w}, os.Stderr
	err = cmd.Start()
	w.Close()
	if err == nil {
		_, _ = io.Copy(out, r) // the tests' own output, as it comes
		err = cmd.Wait()
	}
	return errors.Join(err, r.Close())
}

// report prints a line for each test and says whether all passed.
func report(ctx context.Context, dir string, tests []test, bootErr error, console string) error {
	f, err := os.Open(filepath.Join(dir, "status"))
	if err != nil {
		return errors.Join(bootErr, fmt.Errorf("the machine did not start: %w", err))
	}
	defer f.Close()
	done := 0
	failed := false
	for lines := bufio.NewScanner(f); lines.Scan(); done++ {
		var i, status int
		var began, ended float64
		if _, err := fmt.Sscan(lines.Text(), &i, &status, &began, &ended); err != nil || i != done || i >= len(tests) {
			return fmt.Errorf("the machine reported %q: %w", lines.Text(), err)
		}
		verdict := "ok  "
		if status != 0 {
			verdict, failed = "FAIL", true
		}
		fmt.Fprintf(os.Stderr, "vm: %s %s (status %d, %.1f s, begun %.1f s after power on)\n", verdict, tests[i].name, status, ended-began, began)
	}
	switch {
	case done == len(tests) && failed:
		return errFailed
	case done == len(tests):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("out of time in %s:\n%s", tests[done].name, tail(console))
	}
	return errors.Join(bootErr, fmt.Errorf("the machine ended in %s:\n%s", tests[done].name, tail(console)))
}

func tail(console string) string {
	lines := strings.Split(strings.TrimSpace(console), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
