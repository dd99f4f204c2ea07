#!/bin/sh
# Makes $WORK/tree.tar.zst (to lie in /opt/code-server) from $WORK/tree: code-server's npm package with its dependencies,
# none of whose scripts has run. Two modules must be compiled: inside a base image ($PARENT), as nobody and without
# a network, so that nothing of this host (npm's settings, say) can get into them.
# Run inside `unshare --mount --net --pid --fork`. Also needs SOURCE_DATE_EPOCH.
set -eu
umask 022
export LC_ALL=C TZ=UTC
tree=$WORK/tree
vscode=$tree/lib/vscode
modules=$vscode/node_modules

# Not needed: other platforms; AI features and sign-in, which need the internet (sqlite3, ssh2 and the sandboxes
# serve only them); kerberos for the internet's proxies.
rm -rf "$modules/@github" "$modules/@devcontainers" "$modules/@microsoft/mxc-sdk" "$modules/@vscode/sandbox-runtime" \
  "$modules/@vscode/sqlite3" "$modules/@vscode"/windows-* \
  "$modules/kerberos" "$modules/ssh2" "$modules/cpu-features" "$modules/node-pty/deps" "$modules/node-pty/third_party" \
  "$vscode/extensions/copilot" "$vscode/extensions/microsoft-authentication" \
  "$vscode/extensions/mermaid-markdown-features/chat-webview-out"
find "$modules/@vscode/ripgrep-universal/bin" "$modules/node-pty/prebuilds" "$tree/node_modules/argon2/prebuilds" \
  -mindepth 1 -maxdepth 1 ! -name linux-x64 -exec rm -rf {} +
# Source maps, and the lock files in which npm writes where it fetched from.
find "$tree" -type f \( -name '*.map' -o -name '*.win32-*.node' -o -name '*.musl.node' \
  -o -name .package-lock.json -o -name npm-shrinkwrap.json \) -delete
rm -rf "$vscode"/extensions/node_modules/typescript/bin "$vscode"/extensions/node_modules/typescript/lib/*tsc.js
ln -sf /usr/local/bin/node "$tree/lib/node"
# It keeps an id of the machine for telemetry, which all boxes of a template would share.
rm -rf "$modules/@vscode/deviceid"/*
printf '{ "name": "@vscode/deviceid", "main": "index.js" }\n' > "$modules/@vscode/deviceid/package.json"
printf 'exports.getDeviceId = async () => require("node:crypto").randomUUID();\n' > "$modules/@vscode/deviceid/index.js"
# The flag against telemetry is the server's; the editor in the browser asks this file.
sed -i 's/"enableTelemetry": true/"enableTelemetry": false/' "$vscode/product.json"
grep -q '"enableTelemetry": false' "$vscode/product.json"
# The editor in the browser gives up for good when its extensions are not up within 60 s: an emulated box on a busy host needs longer.
workbench=$vscode/out/vs/code/browser/workbench/workbench.js
sed -i 's/to send its ready message\.")},6e4)/to send its ready message.")},9e5)/' "$workbench"
grep -q 'to send its ready message\.")},9e5)' "$workbench"

root=$WORK/parent
mkdir -p "$root"
mount -t ext4 -o ro,noload,loop "$PARENT/root.ext4" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind "$tree" "$root/mnt"
inside() { # inside DIRECTORY PROGRAM ARGUMENT...
  setpriv --no-new-privs chroot --userspec=65534:65534 --groups= "$root" env -i \
    PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp JOBS=max npm_config_nodedir=/usr/local \
    sh -ec 'cd "$0"; exec "$@"' "$@"
}
for name in @vscode/spdlog @vscode/native-watchdog; do
  chown -R 65534:65534 "$modules/$name"
  inside "/mnt/lib/vscode/node_modules/$name" \
    node /usr/local/lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js rebuild --silent
  # Of the build only what is loaded; its records name this host's settings.
  mv "$modules/$name"/build/Release/*.node "$modules/$name/"
  rm -rf "$modules/$name/build" "$modules/$name/deps"
  mkdir -p "$modules/$name/build/Release"
  mv "$modules/$name"/*.node "$modules/$name/build/Release/"
  strip --strip-unneeded "$modules/$name"/build/Release/*.node
done
# Everything native can be loaded, and the whole starts.
inside /mnt/lib/vscode node -e 'for (const name of ["node-pty", "@parcel/watcher", "@vscode/spdlog", "@vscode/native-watchdog"]) require(name)'
inside /mnt node -e 'require("argon2")'
inside /mnt lib/vscode/node_modules/@vscode/ripgrep-universal/bin/linux-x64/rg --version > /dev/null
inside /mnt node out/node/entry.js --version > "$WORK/version.txt"

tar -c --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode=u+rwX,go+rX,go-w \
  --transform='s,^\.,opt/code-server,S' -C "$tree" . | zstd -q -T0 -6 -o "$WORK/tree.tar.zst"
