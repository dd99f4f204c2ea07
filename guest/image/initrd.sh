#!/bin/sh
# Makes $WORK/{vmlinux,initrd,probe.img} from $WORK/{vmlinuz,modules} and the host's static busybox.
# Environment: WORK GUEST SOURCE_DATE_EPOCH.
set -eu
umask 022
export LC_ALL=C TZ=UTC
# A bzImage holds the kernel compressed; QEMU starts an uncompressed one through its PVH note, sooner.
# Setup header: sectors at 0x1f1, payload offset and length at 0x248 and 0x24c.
le32() { od -An -tu4 -j "$1" -N 4 "$WORK/vmlinuz" | tr -d ' '; }
sectors=$(od -An -tu1 -j 497 -N 1 "$WORK/vmlinuz" | tr -d ' ')
start=$(((sectors + 1) * 512 + $(le32 584)))
length=$(le32 588)
# The payload's last 4 bytes are its unpacked length, not part of the stream.
tail -c +$((start + 1)) "$WORK/vmlinuz" | head -c $((length - 4)) > "$WORK/payload"
case $(od -An -tx1 -N 4 "$WORK/payload" | tr -d ' ') in
  02214c18) lz4 -d -f -q "$WORK/payload" "$WORK/vmlinux" ;;
  fd377a58) xz -dc "$WORK/payload" > "$WORK/vmlinux" ;;
  28b52ffd) zstd -dc "$WORK/payload" > "$WORK/vmlinux" ;;
  *) echo "initrd.sh: the kernel's compression is not known; add it here" >&2; exit 1 ;;
esac
rm -f "$WORK/payload"

pack() { # pack NAME INIT: a cpio with sorted names, one owner, one time
  tree="$WORK/initrd-tree"
  rm -rf "$tree"
  mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/root" "$tree/modules"
  cp "$(command -v busybox)" "$tree/bin/busybox"
  [ "$1" = probe.img ] || cp "$WORK"/modules/*.ko "$tree/modules/"
  cp "$2" "$tree/init"
  chmod 0755 "$tree/init" "$tree/bin/busybox"
  find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$tree" && find . | sort | cpio --quiet -o -H newc -R 0:0 --reproducible) > "$WORK/$1"
  rm -rf "$tree"
}
pack initrd "$GUEST/image/init"
pack probe.img "$GUEST/image/probe-init"
