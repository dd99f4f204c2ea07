#!/bin/sh
# Turns $WORK/root.tar into $WORK/root.ext4. Run inside `unshare --mount`: the tree is unpacked on a tmpfs
# that dies with this process, and whose order of names is the order of the (sorted) tar, so that
# the same tar gives the same file system.
# Environment: WORK SIZE_MIB FS_UUID SOURCE_DATE_EPOCH.
set -eu
export LC_ALL=C TZ=UTC E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
mkdir -p "$WORK/tree"
mount -t tmpfs -o size=8g,mode=0755 tmpfs "$WORK/tree"
tar -x --numeric-owner --xattrs --xattrs-include='*' -p -f "$WORK/root.tar" -C "$WORK/tree"
# mmdebstrap leaves the machine id to be made at the first boot, which systemd then takes for the first
# boot of a new system; ours is given by the renewal, until when this stands in its place.
printf 'b0000000000000000000000000000000\n' > "$WORK/tree/etc/machine-id"
touch "$WORK/tree/etc/.updated" "$WORK/tree/var/.updated"
find "$WORK/tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$WORK/root.ext4"
mke2fs -q -t ext4 -U "$FS_UUID" -L root -m 1 -I 256 \
  -E "hash_seed=$FS_UUID,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
  -d "$WORK/tree" "$WORK/root.ext4" "${SIZE_MIB}M"
# mke2fs copies the times at which the tree was unpacked; put one fixed time in their place.
last=$(($(dumpe2fs -h "$WORK/root.ext4" 2>/dev/null | awk -F: '/^Inode count/{c=$2} /^Free inodes/{f=$2} END{print c-f}')))
stamp=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)
seq 2 "$last" | awk -v t="$stamp" '$1 == 2 || $1 > 10 {
  for (i = split("ctime atime crtime", f, " "); i > 0; i--) {
    print "set_inode_field <" $1 "> " f[i] " " t; print "set_inode_field <" $1 "> " f[i] "_extra 0" } }' > "$WORK/times.txt"
debugfs -w -f "$WORK/times.txt" "$WORK/root.ext4" > /dev/null 2>&1
e2fsck -fn "$WORK/root.ext4" > /dev/null
fallocate --dig-holes "$WORK/root.ext4"
