#!/bin/sh
# Runs a TypeScript file on the Node that Berth ships with, after installing what is missing:
# Node 24 (an npm package, no install script) and the npm dependencies of the lockfile.
# POSIX sh, because this is the first thing that runs on a bare machine.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
node_version=24.21.0

say() { printf '%s\n' "berth: $*" >&2; }

command -v npm >/dev/null 2>&1 || { say "npm is missing: install Node.js 20 or newer with npm, then run this again"; exit 1; }
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) say "no Node build for $(uname -m): Berth runs on x86_64 and aarch64"; exit 1 ;;
esac

# One installer at a time: two commands started together must not write the same folder.
mkdir -p "$root/.tools"
exec 9>"$root/.tools/lock"
command -v flock >/dev/null 2>&1 && flock 9

node_home="$root/.tools/node/node_modules/node-linux-$arch"
if ! [ -x "$node_home/bin/node" ] || [ "$("$node_home/bin/node" --version)" != "v$node_version" ]; then
  say "installing Node $node_version (npm package node-linux-$arch, about 190 MB), because Berth runs on that exact version"
  mkdir -p "$root/.tools/node"
  (cd "$root/.tools/node" && printf '{"private":true}' >package.json &&
    npm install --no-save --no-audit --no-fund --loglevel=error "node-linux-$arch@$node_version" >&2)
fi
stamp="$root/node_modules/.berth-lock"
lock_sum=$(cksum <"$root/package-lock.json")
if ! [ -f "$stamp" ] || [ "$(cat "$stamp")" != "$lock_sum" ]; then
  say "installing npm dependencies from package-lock.json"
  # Under another Node, npm would look for its global settings (certificates, registry) elsewhere.
  npm_config_globalconfig=$(npm config get globalconfig)
  export npm_config_globalconfig npm_config_nodedir="$node_home"
  PATH="$node_home/bin:$PATH"
  (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2) || {
    say "npm could not install them; correct what it says above and run this again"
    exit 1
  }
  printf '%s' "$lock_sum" >"$stamp"
fi
exec 9>&-
PATH="$node_home/bin:$PATH"
export PATH npm_config_nodedir="$node_home"

file=$1
shift
case $file in /*) ;; *) file="$root/$file" ;; esac
exec "$node_home/bin/node" --disable-warning=ExperimentalWarning "$file" "$@"
