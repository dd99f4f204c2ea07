// The jail's command line. Pure. From the outside in: enter the box's cgroups, then its network
// namespace, then new mount, pid, ipc and uts namespaces that show only what the VMM needs, then
// drop to the box's own uid without any capability. QEMU adds its seccomp filter itself.
//
// No --die-with-parent: a VM outlives its agent. It is ended through its cgroup.

import { JAIL_PATHS } from "./args.ts";

export interface Jail {
  readonly uid: number;
  /** cgroup.procs files to enter. */
  readonly cgroupProcs: readonly string[];
  /** Name as in `ip netns`. */
  readonly netns: string;
  /** Directory of the box's files: root's, so that the VMM makes no new ones in it. */
  readonly boxDirectory: string;
  readonly imageDirectory: string;
  /** Directory of the agent's migration socket, read-only inside. */
  readonly socketDirectory: string;
  readonly kvm: boolean;
  /** Open files to hand down, beside 0 to 2. */
  readonly keptFds: readonly number[];
  /** bwrap writes {"child-pid": N} here. */
  readonly infoFd: number;
}

/**
 * Closes what the agent was started with beyond the files that it hands down, then enters the groups: done by the
 * process itself, no moment is outside the limits. Any failure ends the launch.
 */
const ENTER = `
for path in /proc/self/fd/*; do
  fd=\${path##*/}
  if ((fd > 2)) && ! [[ " $KEEP " == *" $fd "* ]]; then exec {fd}>&-; fi
done
while [[ $1 != -- ]]; do echo 0 > "$1" || exit 125; shift; done
shift
exec "$@"`;

export function jailed(jail: Jail, program: readonly string[]): string[] {
  return [
    ...["env", `KEEP=${jail.keptFds.join(" ")}`, "bash", "-c", ENTER, "berth-vmm"],
    ...[...jail.cgroupProcs, "--"],
    ...["prlimit", "--core=0", "--nofile=1024", "--memlock=0", "--"],
    ...["nsenter", `--net=/run/netns/${jail.netns}`, "--"],
    ...bubble(jail),
    ...["setpriv", `--reuid=${jail.uid}`, `--regid=${jail.uid}`, "--clear-groups"],
    ...["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"],
    ...program,
  ];
}

function bubble(jail: Jail): string[] {
  return [
    ...["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...["--as-pid-1", "--new-session", "--clearenv", "--hostname", "vmm", "--chdir", "/"],
    ...["--setenv", "PATH", "/usr/bin", "--info-fd", String(jail.infoFd)],
    ...["--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib"],
    ...["--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin"],
    // bwrap makes parent directories that only root may enter.
    ...[
      "--dev",
      "/dev",
      "--perms",
      "0755",
      "--dir",
      "/dev/net",
      "--perms",
      "0755",
      "--dir",
      "/run",
    ],
    ...["--dev-bind", "/dev/net/tun", "/dev/net/tun"],
    ...(jail.kvm ? ["--dev-bind", "/dev/kvm", "/dev/kvm"] : []),
    ...["--bind", jail.boxDirectory, "/box"],
    ...["--ro-bind", jail.imageDirectory, JAIL_PATHS.image],
    ...["--ro-bind", jail.socketDirectory, "/run/berth"],
    // Only for setpriv, which gives them up.
    ...["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"],
    ...["--cap-add", "CAP_SETPCAP", "--"],
  ];
}
