#!/bin/sh
# Makes the root tree of a base image as a tar: Debian packages, our files on top, the kernel's modules.
# Run as root with: SUITE PACKAGES KERNEL APT_OPTIONS GUEST WORK SOURCE_DATE_EPOCH in the environment.
# Leaves root.tar, vmlinuz and modules/ in $WORK.
set -eu
umask 022
export LC_ALL=C TZ=UTC
mkdir -p "$WORK/tmp"
rm -rf "$WORK/modules" "$WORK/vmlinuz" "$WORK/root.tar"
TMPDIR="$WORK/tmp" mmdebstrap \
  --mode=root --variant=minbase --format=tar \
  --include="$PACKAGES" \
  --aptopt="$APT_OPTIONS" \
  --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="sh '$GUEST/image/customize.sh' \"\$1\"" \
  "$SUITE" "$WORK/root.tar.part" "$WORK"/sources/*
mv "$WORK/root.tar.part" "$WORK/root.tar"
