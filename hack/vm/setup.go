package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernels are Debian packages to try, first one first: kernels for clouds have
// virtio and virtiofs built in, so that they boot without an initramfs.
var kernels = []string{"linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"}

// builtIn must be in the kernel itself for that.
var builtIn = []string{"VIRTIO_FS", "FUSE_FS", "VIRTIO_PCI", "VIRTIO_CONSOLE"}

// setup installs qemu where it is missing and unpacks a kernel, busybox and kmod
// under cache. It does nothing twice.
func setup(ctx context.Context, cache string) error {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("setup needs Debian's %s: %w", tool, err)
		}
	}
	if err := installQemu(ctx); err != nil {
		return err
	}
	for _, dir := range []string{"debs", "bin"} {
		if err := os.MkdirAll(filepath.Join(cache, dir), 0o755); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(cache, "kernel")); err != nil {
		if err := getKernel(ctx, cache); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(cache, "tools")); err != nil {
		if err := getTools(ctx, cache); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, "vm: ready in", cache)
	return nil
}

func installQemu(ctx context.Context) error {
	_, err := exec.LookPath("qemu-system-x86_64")
	if err == nil && virtiofsd() != "" {
		return nil
	}
	if os.Getuid() != 0 {
		return errors.New("qemu-system-x86 or virtiofsd is missing: install them, or run setup as root")
	}
	fmt.Fprintln(os.Stderr, "vm: installing Debian's qemu-system-x86 and virtiofsd")
	if err := apt(ctx, "", "install", "-y", "--no-install-recommends", "qemu-system-x86"); err != nil {
		return err
	}
	if virtiofsd() == "" { // a package of its own in later releases
		return apt(ctx, "", "install", "-y", "--no-install-recommends", "virtiofsd")
	}
	return nil
}

func virtiofsd() string {
	for _, p := range []string{"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// apt runs apt-get, the second time with fresh lists.
func apt(ctx context.Context, dir string, args ...string) error {
	try := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return cmd.Run()
	}
	if try(args...) == nil {
		return nil
	}
	if err := try("update"); err != nil {
		return fmt.Errorf("apt-get update: %w", err)
	}
	if err := try(args...); err != nil {
		return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// getKernel unpacks the kernel's package into cache/kernel.
func getKernel(ctx context.Context, cache string) error {
	debs := filepath.Join(cache, "debs")
	var image string
	for again := range 2 {
		for _, k := range kernels {
			if image == "" {
				image = dependency(ctx, k, "linux-image-")
			}
		}
		if image == "" && again == 0 {
			_ = apt(ctx, "", "update") // without lists there is no kernel to be found
		}
	}
	if image == "" {
		return fmt.Errorf("apt has none of the kernels %v", kernels)
	}
	tmp := filepath.Join(cache, "kernel.tmp")
	if err := unpack(ctx, debs, tmp, image); err != nil {
		return err
	}
	configs, _ := filepath.Glob(tmp + "/boot/config-*")
	if len(configs) != 1 {
		return fmt.Errorf("%s holds %d kernel configurations, not one", image, len(configs))
	}
	config, err := os.ReadFile(configs[0])
	if err != nil {
		return err
	}
	for _, o := range builtIn {
		if !strings.Contains(string(config), "\nCONFIG_"+o+"=y\n") {
			return fmt.Errorf("%s was built without CONFIG_%s=y and cannot boot here", image, o)
		}
	}
	return os.Rename(tmp, filepath.Join(cache, "kernel"))
}

// dependency returns the first package that pkg depends on whose name begins so.
func dependency(ctx context.Context, pkg, prefix string) string {
	out, _ := exec.CommandContext(ctx, "apt-cache", "depends", pkg).Output()
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(name, prefix) {
			return name
		}
	}
	return ""
}

// unpack downloads Debian packages and puts their files below dir, as on a system
// where /bin, /sbin and /lib are links into /usr.
func unpack(ctx context.Context, debs, dir string, packages ...string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", d), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+d, filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	if err := apt(ctx, debs, append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	for _, p := range packages {
		files, _ := filepath.Glob(filepath.Join(debs, p+"_*.deb"))
		if len(files) == 0 {
			return fmt.Errorf("apt-get download left no file of %s", p)
		}
		// tar, unlike dpkg-deb -x, follows the links into /usr.
		sh := `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`
		if out, err := exec.CommandContext(ctx, "sh", "-c", sh, "sh", files[len(files)-1], dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", p, err, out)
		}
	}
	return nil
}

// getTools unpacks busybox and kmod into cache/tools, and lists the kernel's
// modules for modprobe.
func getTools(ctx context.Context, cache string) error {
	tmp := filepath.Join(cache, "tools.tmp")
	packages := []string{"busybox-static", "kmod", dependency(ctx, "kmod", "libkmod2")}
	if err := unpack(ctx, filepath.Join(cache, "debs"), tmp, packages...); err != nil {
		return err
	}
	for _, name := range []string{"modprobe", "depmod"} { // links to an absolute path
		link := filepath.Join(tmp, "sbin", name)
		_ = os.Remove(link)
		if err := os.Symlink("../bin/kmod", link); err != nil {
			return err
		}
	}
	release, err := kernelRelease(cache)
	if err != nil {
		return err
	}
	libs, _ := filepath.Glob(tmp + "/usr/lib/*-linux-gnu")
	cmd := exec.CommandContext(ctx, filepath.Join(tmp, "sbin", "depmod"), "-b", filepath.Join(cache, "kernel"), release)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("list the kernel's modules: %w: %s", err, out)
	}
	return os.Rename(tmp, filepath.Join(cache, "tools"))
}

func kernelRelease(cache string) (string, error) {
	images, _ := filepath.Glob(filepath.Join(cache, "kernel", "boot", "vmlinuz-*"))
	if len(images) != 1 {
		return "", fmt.Errorf("no kernel in %s: run hack/vm/run --setup", cache)
	}
	return strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-"), nil
}
