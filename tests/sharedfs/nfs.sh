#!/bin/sh
# nfs.sh TREE [PYTEST OPTION...] - runs tests/nfs_long.py on a real NFS: in a Linux that runs as a process of this machine
# (User-mode Linux), with Linux's own server and clients on its loopback. TREE holds Debian's packages, unpacked.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$1" && pwd)
shift

mkdir -p "$tree/result" "$tree/lib/modules"
rm -f "$tree/result/status" "$tree/disk"
echo "$*" >"$tree/result/options"
ln -sf kmod "$tree/bin/modprobe"
for version in "$tree"/usr/lib/uml/modules/*; do ln -sfn "$version" "$tree/lib/modules/"; done
truncate -s 4G "$tree/disk"
PATH="$PATH:/usr/sbin:/sbin" mkfs.ext4 -q "$tree/disk"

# The machine's own files are the root, for reading only. What the kernel does not know goes to init's environment.
"$tree/usr/bin/linux.uml" mem=4G rootfstype=hostfs ro ubdb="$tree/disk" con=null con0=null,fd:1 quiet \
  init="$here/nfs_inside.sh" NFS_TREE="$tree" NFS_TESTS="${here%/*}" </dev/null 2>"$tree/kernel.log"
rm -f "$tree/disk"
[ -e "$tree/result/status" ] || { cat "$tree/kernel.log"; echo "nfs.sh: the kernel did not come to the tests" >&2; exit 1; }
exit "$(cat "$tree/result/status")"
