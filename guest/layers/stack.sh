#!/bin/sh
# Makes $WORK/root.tar: the tree of another base image ($PARENT, a directory of the cache) with a layer on top:
# what its build made ($TREE) and its files ($LAYER/rootfs), whose services are enabled. Run inside `unshare --mount`.
set -eu
umask 022
export LC_ALL=C TZ=UTC
mkdir -p "$WORK/parent" "$WORK/top"
mount -t ext4 -o ro,noload,loop "$PARENT/root.ext4" "$WORK/parent"

# With plain modes, whatever the checkout's umask was.
(cd "$LAYER/rootfs" && find . -type f) | while read -r file; do
  mode=0644
  [ ! -x "$LAYER/rootfs/$file" ] || mode=0755
  install -D -m "$mode" "$LAYER/rootfs/$file" "$WORK/top/$file"
done
units=usr/lib/systemd/system
mkdir -p "$WORK/top/etc/systemd/system/multi-user.target.wants"
for unit in "$WORK/top/$units"/*.service; do
  ln -s "/$units/$(basename "$unit")" "$WORK/top/etc/systemd/system/multi-user.target.wants/"
done

tar -c --sort=name --numeric-owner --xattrs --xattrs-include='*' --exclude=./lost+found \
  -f "$WORK/root.tar.part" -C "$WORK/parent" .
tar -r --sort=name --numeric-owner --owner=0 --group=0 -f "$WORK/root.tar.part" -C "$WORK/top" .
zstd -q -d -c "$TREE" > "$WORK/tree.tar"
tar -A -f "$WORK/root.tar.part" "$WORK/tree.tar"
rm "$WORK/tree.tar"
mv "$WORK/root.tar.part" "$WORK/root.tar"
