# The machine's first process. It is run by busybox, twice: first on the host's
# files, read-only, to lay a tmpfs over them; then on top of that, to make a
# system and run the tests. Its variables are set in front of it.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bb=$CACHE/tools/bin/busybox

if [ "$1" = below ]; then
	$bb mount -t proc proc /proc
	$bb mount -t devtmpfs dev /dev
	$bb mount -t tmpfs tmp /run
	$bb mkdir -p /run/upper /run/work /run/top
	export LD_LIBRARY_PATH=$LIBS
	$CACHE/tools/sbin/modprobe -d "$CACHE/kernel" overlay
	unset LD_LIBRARY_PATH
	$bb mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work,index=off,xino=off overlay /run/top || echo "vm: no overlay"
	$bb mkdir -p /run/top/.below
	for d in proc dev; do $bb mount --move /$d /run/top/$d; done
	cd /run/top
	$bb pivot_root . .below
	exec $bb chroot . $bb sh "$RUN/guest.sh" above </dev/null >/dev/console 2>&1
fi

$bb mount -t sysfs sys /sys
$bb mkdir -p /dev/pts /dev/shm
$bb mount -t devpts -o ptmxmode=666 pts /dev/pts
$bb mount -t tmpfs -o mode=1777 tmp /dev/shm
$bb ln -sf /proc/self/fd /dev/fd
$bb mount -t tmpfs -o mode=755 tmp /run
$bb mkdir -p /run/lock /run/tmp /run/vm
$bb chmod 1777 /run/tmp
for port in /sys/class/virtio-ports/*; do
	$bb ln -s "/dev/${port##*/}" "/run/vm/$($bb cat "$port/name")"
done
$bb mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup /sys/fs/cgroup
for c in $($bb cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done
$bb mount -t bpf bpf /sys/fs/bpf
# Modules on demand, from the unpacked kernel.
$bb mkdir -p /usr/lib/modules
$bb ln -sfn "$CACHE/kernel/usr/lib/modules/$RELEASE" "/usr/lib/modules/$RELEASE"
printf '#!%s sh\nexport LD_LIBRARY_PATH=%s\nexec %s "$@"\n' "$bb" "$LIBS" "$CACHE/tools/sbin/modprobe" >/run/vm/modprobe
$bb chmod 755 /run/vm/modprobe
$bb rm -f /usr/sbin/modprobe
$bb ln -s /run/vm/modprobe /usr/sbin/modprobe
echo /usr/sbin/modprobe >/proc/sys/kernel/modprobe
$bb ip link set lo up
$bb hostname vm

read -r up _ </proc/uptime
echo "vm: up after $up s"
if [ "$SYSTEMD" = 1 ]; then
	$bb mkdir -p /run/systemd/system/dbus.socket.d /run/systemd/system/dbus.service.d
	for u in dbus.socket dbus.service; do
		printf '[Unit]\nDefaultDependencies=no\n' >/run/systemd/system/$u.d/early.conf
	done
	cat >/run/systemd/system/tests.service <<EOF
[Unit]
DefaultDependencies=no
Wants=dbus.socket
After=dbus.socket
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=exec
Delegate=yes
TimeoutSec=infinity
ExecStart=$bb sh $RUN/tests.sh
EOF
	echo 1d2c3b4a1d2c3b4a1d2c3b4a1d2c3b4a >/etc/machine-id
	exec /lib/systemd/systemd --system --unit=tests.service --show-status=no --log-level=warning --default-standard-output=null
fi
$bb sh "$RUN/tests.sh"
echo o >/proc/sysrq-trigger
$bb sleep 60
