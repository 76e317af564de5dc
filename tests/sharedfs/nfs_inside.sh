#!/bin/bash
# The first process of the Linux that nfs.sh starts: a server, three clients, the tests, the end.
libraries=$NFS_TREE/lib/x86_64-linux-gnu:$NFS_TREE/usr/lib/x86_64-linux-gnu
export PATH=$NFS_TREE/sbin:$NFS_TREE/usr/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LD_LIBRARY_PATH=$libraries
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /var/lib /mnt; do mount -t tmpfs tmpfs $folder; done
mkdir -p /var/lib/nfs/{v4recovery,sm} /var/lib/rpcbind /run/{rpcbind,etc,tmp} /mnt/{export,a,b,c,result}
touch /var/lib/nfs/{etab,rmtab,state}
mount -t hostfs none /mnt/result -o "$NFS_TREE/result"
cp -a /etc/. /run/etc
cp "$NFS_TREE/etc/netconfig" /run/etc
: >/run/etc/exports
echo '_rpc:x:0:0::/:/bin/sh' >>/run/etc/passwd
mount --bind /run/etc /etc
ip link set lo up

for module in nfsd nfs nfsv4 nfsv3; do "$NFS_TREE/bin/modprobe" -d "$NFS_TREE" $module; done
mount -t nfsd nfsd /proc/fs/nfsd
mount -t ext4 /dev/ubdb /mnt/export
echo 10 >/proc/fs/nfsd/nfsv4leasetime # seconds, that a new server waits for old clients
echo 10 >/proc/fs/nfsd/nfsv4gracetime
exportfs -o rw,no_root_squash,fsid=0,insecure,no_subtree_check '*:/mnt/export'
rpcbind -w
rpc.mountd 2>/dev/null # no IPv6 here
rpc.nfsd -V 3 8
sleep 12
mount.nfs4 127.0.0.1:/ /mnt/a -o vers=4.2,nosharecache
mount.nfs4 127.0.0.1:/ /mnt/b -o vers=4.2,nosharecache
mount.nfs 127.0.0.1:/mnt/export /mnt/c -o vers=3,nolock,nosharecache
grep ' nfs' /proc/mounts

export HOME=/run/tmp TMPDIR=/run/tmp PYTHONDONTWRITEBYTECODE=1 BOLDMILL_TEST_PATIENCE=5 NFS_FOLDERS='/mnt/a /mnt/b /mnt/c'
cd "${NFS_TESTS%/*}" || exit
# shellcheck disable=SC2046  # a list of options
.venv/bin/python -m pytest -q -p no:cacheprovider $(cat /mnt/result/options) tests/nfs_long.py 2>&1
echo $? >/mnt/result/status
sync
echo o >/proc/sysrq-trigger
sleep 10
