#!/bin/sh
# mmdebstrap's last hook: turns a plain Debian tree ($1) into a box. Same environment as root.sh.
set -eu
root=$1

# The kernel is loaded from outside the image, so only its modules go in; the package itself would
# pull in udev and initramfs-tools. Its boot file goes out to $WORK.
package=$(chroot "$root" apt-cache depends "$KERNEL" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
chroot "$root" sh -c "cd /tmp && apt-get download -qq -o APT::Sandbox::User=root '$package'"
mkdir -p "$WORK/kernel"
dpkg-deb -x "$root"/tmp/linux-image-*.deb "$WORK/kernel"
rm -f "$root"/tmp/linux-image-*.deb
version=$(ls "$WORK/kernel/lib/modules")
cp "$WORK/kernel/boot/vmlinuz-$version" "$WORK/vmlinuz"
mkdir -p "$root/usr/lib/modules"
cp -a "$WORK/kernel/lib/modules/$version" "$root/usr/lib/modules/"
rm -rf "$WORK/kernel"
depmod -b "$root" "$version"
mkdir -p "$WORK/modules"
for name in virtio_ring virtio virtio_mmio virtio_blk failover net_failover virtio_net virtio_console virtio-rng virtio_balloon; do
  file=$(find "$root/usr/lib/modules/$version" -name "$name.ko" | head -n 1)
  # A module that is not there is built in; initrd's init tells when a device is missing.
  [ -z "$file" ] || cp "$file" "$WORK/modules/"
done
printf '%s\n' "$package" "$version" > "$WORK/kernel.txt"

# Node and npm, from the npm packages that the caller fetched and verified.
mkdir -p "$root/usr/local/lib/node_modules/npm" "$root/usr/local/include"
tar -x --no-same-owner -f "$WORK/node.tgz" -C "$root/usr/local" --strip-components=1 package/bin package/include package/share
tar -x --no-same-owner -f "$WORK/npm.tgz" -C "$root/usr/local/lib/node_modules/npm" --strip-components=1
chmod 0755 "$root/usr/local/bin/node"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
chmod 0755 "$root"/usr/local/lib/node_modules/npm/bin/*-cli.js

# Our files, with plain modes whatever the checkout's umask was.
(cd "$GUEST/rootfs" && find . -type f) | while read -r file; do
  mode=0644
  [ ! -x "$GUEST/rootfs/$file" ] || mode=0755
  install -D -m "$mode" "$GUEST/rootfs/$file" "$root/$file"
done
install -D -m 0755 "$WORK/berth-guest" "$root/usr/sbin/berth-guest"
chmod 0440 "$root/etc/sudoers.d/berth"

# People.
chroot "$root" useradd --uid 1000 --user-group --create-home --shell /bin/bash dev
chroot "$root" usermod --append --groups sudo dev
chroot "$root" usermod --password '*' dev
mkdir -p "$root/var/lib/systemd/linger"
: > "$root/var/lib/systemd/linger/dev"

# Nothing that is an identity may be in an image.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/systemd/random-seed" "$root/var/lib/dbus/machine-id"
ln -s /etc/machine-id "$root/var/lib/dbus/machine-id"
printf 'box\n' > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 box\n::1 localhost ip6-localhost ip6-loopback\n' > "$root/etc/hosts"
printf 'nameserver 10.0.2.3\n' > "$root/etc/resolv.conf"

# Units: a boot ends at the agent; default.target starts after the identity was renewed.
mask() { for unit; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done; }
mask serial-getty@.service getty@.service getty.target getty-static.service console-getty.service \
  systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-network-generator.service \
  systemd-timesyncd.service systemd-firstboot.service systemd-machine-id-commit.service systemd-random-seed.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-update-done.service systemd-hwdb-update.service \
  systemd-udev-trigger.service systemd-udevd.service systemd-udev-settle.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
  systemd-ask-password-console.path systemd-ask-password-wall.path systemd-pcrphase.service systemd-pcrphase-sysinit.service \
  systemd-boot-system-token.service systemd-pstore.service systemd-journal-flush.service ldconfig.service \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  modprobe@.service kmod-static-nodes.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  podman-auto-update.timer podman-auto-update.service podman-clean-transient.service \
  remote-fs.target rescue.service emergency.service
# A generator is a program that every boot runs; these have nothing to generate in a box.
mkdir -p "$root/etc/systemd/system-generators"
for name in bless-boot cryptsetup debug getty gpt-auto hibernate-resume integritysetup run system-update veritysetup; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
done
# Podman is started when it is used; its own start at boot takes seconds under emulation.
rm -f "$root"/etc/systemd/system/*.wants/podman*
ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

# How the host reaches the archive (a proxy, its password) is no business of a box's; nor are our build's choices.
sed -i '/Acquire::https\{0,1\}::/d; /Install-Recommends/d' "$root/etc/apt/apt.conf.d/99mmdebstrap"

# Same bytes for the same packages: no logs, no caches, no histories of the build.
rm -rf "$root"/var/log/* "$root"/var/cache/ldconfig/aux-cache "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/tmp/* "$root"/root/.npm
find "$root/usr" "$root/etc" "$root/var" -name '__pycache__' -prune -exec rm -rf {} +
rm -f "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/etc/subuid- "$root"/etc/subgid-
mkdir -p "$root/var/log/journal"
rmdir "$root/var/log/journal"
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' | LC_ALL=C sort > "$WORK/packages.txt"
