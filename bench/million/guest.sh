#!/usr/bin/env bash
# Runs one command in a Linux kernel of its own, whose limits are free to raise: User-Mode Linux,
# which is an ordinary program. Containers give some ten thousand descriptors; this gives millions.
#
#   guest.sh MEMORY COMMAND FILE...
#   guest.sh 20G '/million -inside -connections 1000000' ./million ./throng
#
# FILEs are put at the guest's root and must be static programs or data. The guest has one virtual
# processor, loopback, no disk and no other network; COMMAND is run by its busybox, with the limits
# raised, and what it writes is this script's output. Memory is taken from /dev/shm as it is used.
# Needs the Debian packages user-mode-linux, busybox-static and cpio, and root for one setting.
set -euo pipefail

if [ $# -lt 3 ]; then
  sed -n '2,12s/^# \{0,1\}//p' "$0"
  exit 2
fi
memory=$1 command=$2
shift 2
for tool in linux.uml busybox cpio; do
  if ! command -v "$tool" >/dev/null; then
    echo "guest.sh: no $tool: apt-get install -y user-mode-linux busybox-static cpio" >&2
    exit 1
  fi
done

# Each page of the guest is a mapping of the host's process. At the default of 65,530 mappings the
# guest's programs die with a few hundred megabytes in use.
wanted=8000000
if [ "$(cat /proc/sys/vm/max_map_count)" -lt $wanted ]; then
  sysctl -qw vm.max_map_count=$wanted ||
    echo "guest.sh: vm.max_map_count stays at $(cat /proc/sys/vm/max_map_count)" >&2
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$@" "$root/"
printf '%s\n' "$command" >"$root/command"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev 2>/dev/null
ip link set lo up
for setting in fs.nr_open=8000000 fs.file-max=16000000 net.core.somaxconn=65535 \
  net.ipv4.tcp_max_syn_backlog=65535 "net.ipv4.ip_local_port_range=1024 65535"; do
  sysctl -qw "$setting"
done
ulimit -n 7000000
cd /
sh /command
echo "guest: the command ended with $?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$folder/initrd"

# The kernel and its programs hand over to each other at each system call. Between two processors
# each of these waits until a halted one wakes: 10,000 a second instead of 44,000 on one.
last=$(taskset -cp $$ | sed 's/.*[^0-9]//')
TMPDIR=/dev/shm taskset -c "$last" linux.uml mem="$memory" initrd="$folder/initrd" rdinit=/init \
  quiet con=null con0=fd:0,fd:1 </dev/null 2>/dev/null
