// Every way into a real box, with plain OpenSSH and the CLI, through a real gateway; and what a person sees of a
// terminal while the gateway, the agent and the control plane are killed and the box is paused.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { type IncomingHttpHeaders, request } from "node:http";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

const SSH_TIMEOUT_MS = 5 * 60_000;
const launcher = resolve(import.meta.dirname, "../../berth");
/** A line each 30 ms until it is told to end: what is lost or doubled shows. */
const LINES = `import os, time
n = 0
while not os.path.exists("/home/dev/enough"):
    n += 1
    print(n, flush=True)
    time.sleep(0.03)`;

test("doors into a real box", async (t) => {
  const berth = await TestInstallation.make("qemu");
  t.after(() => berth.close());
  const home = join(berth.stateDir, "..");
  const config = join(home, "ssh_config");
  const step = (name: string, body: () => Promise<void>) =>
    t.test(name, async () => {
      await body().catch(async (error) => {
        throw new Error(`${error.message}\n${await berth.logTails()}`, { cause: error });
      });
    });
  const plain = (argv: readonly string[]) =>
    run([argv[0] ?? "", "-F", config, "-o", "BatchMode=yes", ...argv.slice(1)], {
      env: { ...berth.env },
      timeoutMs: SSH_TIMEOUT_MS,
    });
  const inBox = (script: string) => berth.ok(["exec", "first", "--", "bash", "-c", script]);
  const [gatewayHost = "", gatewayPort = ""] = (berth.env.BERTH_SSH_LISTEN ?? "").split(":");

  await step("up, a registered key, and settings for plain ssh without our CLI", async () => {
    await berth.ok(["up", "--detach"]);
    await mkdir(join(home, ".ssh"), { recursive: true, mode: 0o700 });
    const key = join(home, ".ssh/id_ed25519");
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    await berth.ok(["key", "add", `${key}.pub`]);
    const { knownHosts } = await berth.json<{ knownHosts: string }>(["key", "known-hosts"]);
    await writeFile(join(home, "known_hosts"), `${knownHosts}\n`);
    await writeFile(
      config,
      `Host gateway
  HostName ${gatewayHost}
  Port ${gatewayPort}
  User nobody
Host box
  HostName ${gatewayHost}
  Port ${gatewayPort}
  User first
Host *.berth
  User dev
  ProxyJump gateway
Host *
  IdentityFile ${key}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(home, "known_hosts")}
  StrictHostKeyChecking yes
`,
    );
  });

  await step("ssh BOX@gateway: programs, exit codes, files, git, forwards", async () => {
    const { stdout } = await plain(["ssh", "box", "id -un; hostname; echo $0"]);
    assert.match(stdout, /^dev\nfirst\n/);
    await assert.rejects(plain(["ssh", "box", "exit 7"]), /7/);
    await plain(["scp", launcher, "box:launcher"]);
    assert.equal(await inBox("cat launcher"), await readFile(launcher, "utf8"));
    await writeFile(join(home, "batch"), `put ${launcher} by-sftp\nls by-sftp\n`);
    await plain(["sftp", "-b", join(home, "batch"), "box"]);
    assert.equal(await inBox("cmp launcher by-sftp && echo same"), "same\n");
    await inBox("git init -q --bare up.git");
    const git = (args: string[], cwd: string) =>
      run(["git", ...args], {
        cwd,
        env: { ...berth.env, GIT_SSH_COMMAND: `ssh -F ${config} -o BatchMode=yes` },
        timeoutMs: SSH_TIMEOUT_MS,
      });
    await git(["clone", "-q", "box:up.git", "clone"], home);
    const clone = join(home, "clone");
    await git(
      ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one"],
      clone,
    );
    await git(["push", "-q", "origin", "HEAD"], clone);
    assert.match(await inBox("git -C up.git log --oneline --all"), /one/);
    await inBox(
      "cd /home/dev && setsid -f python3 -m http.server -b 127.0.0.1 8000 >/dev/null 2>&1",
    );
    await until("-W reaches the server", async () => {
      const { stdout: page } = await run(
        [
          "sh",
          "-c",
          `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ssh -F ${config} -o BatchMode=yes -W localhost:8000 box`,
        ],
        { env: { ...berth.env }, timeoutMs: SSH_TIMEOUT_MS },
      );
      return page.includes("200 OK");
    });
  });

  await step(
    "ssh -J gateway: end to end to the box's own sshd, by the registered key",
    async () => {
      await until("the box knows the key", async () => {
        const { stdout } = await plain(["ssh", "first.berth", "hostname"]);
        return stdout === "first\n";
      });
      await plain(["scp", launcher, "first.berth:by-jump"]);
      assert.equal(await inBox("cmp launcher by-jump && echo same"), "same\n");
    },
  );

  await step("the server's port is found, and has an address of its own", async () => {
    await until("the port is shown", async () => {
      const { ports } = await berth.json<{ ports: { port: number; program: string }[] }>([
        ...["port", "list", "first"],
      ]);
      return ports.some(({ port, program }) => port === 8000 && program === "python3");
    });
    const { url } = await berth.json<{ url: string }>(["port", "share", "first", "8000"]);
    const page = await follow(url);
    assert.equal(page.status, 200);
    assert.match(page.body, /launcher/);
    await berth.ok(["port", "close", "first", "8000"]);
    await until("the address is gone", async () => (await follow(url)).status === 410);
  });

  await step("a paused box is woken by ssh, which says so", async () => {
    await berth.ok(["pause", "first"]);
    const { stdout, stderr } = await plain(["ssh", "box", "echo awake"]);
    assert.equal(stdout, "awake\n");
    assert.match(stderr, /berth: first is /);
  });

  await step("a session shows every line once, whatever is killed", async () => {
    const child = spawn(
      launcher,
      ["exec", "--session", "lines", "-T", "first", "--", "python3", "-c", LINES],
      { env: { ...berth.env }, stdio: ["ignore", "pipe", "pipe"] },
    );
    t.after(() => child.kill("SIGKILL"));
    const shown = collect(child);
    const reaches = (line: number) =>
      until(`line ${line} is shown`, async () => {
        assert.equal(child.exitCode, null, shown.errors());
        return shown.lines().length >= line;
      });
    await reaches(50);
    for (const name of ["gateway", "node", "server"]) {
      const before = shown.lines().length;
      await berth.kill(name);
      await reaches(before + 60);
    }
    const before = shown.lines().length;
    await berth.ok(["pause", "first"]);
    await berth.ok(["resume", "first"]);
    await reaches(before + 60);
    await inBox("touch enough");
    const code = await shown.ended;
    assert.equal(code, 0, shown.errors());
    assert.deepEqual(
      shown.lines(),
      shown.lines().map((_, index) => String(index + 1)),
    );
  });

  await step("removing the key ends its open sessions within seconds", async () => {
    const child = spawn(
      "ssh",
      ["-F", config, "-o", "BatchMode=yes", "box", "echo ready; sleep 3600"],
      { env: { ...berth.env }, stdio: ["ignore", "pipe", "pipe"] },
    );
    const shown = collect(child);
    await until("it runs", async () => shown.lines().includes("ready"));
    const [{ id } = { id: "" }] = await berth.json<{ id: string }[]>(["key", "list"]);
    const removedAt = performance.now();
    await berth.ok(["key", "remove", id]);
    assert.notEqual(await shown.ended, 0);
    t.diagnostic(`ended ${Math.round(performance.now() - removedAt)} ms after the command began`);
    await assert.rejects(plain(["ssh", "box", "true"]));
    await until("the box's own sshd refuses it too", async () =>
      plain(["ssh", "first.berth", "true"]).then(
        () => false,
        () => true,
      ),
    );
  });
});

interface Shown {
  lines(): string[];
  errors(): string;
  readonly ended: Promise<number | null>;
}

function collect(child: ChildProcess): Shown {
  let out = "";
  let errors = "";
  child.stdout?.on("data", (data) => {
    out += data;
  });
  child.stderr?.on("data", (data) => {
    errors += data;
  });
  return {
    lines: () => out.split("\n").slice(0, -1),
    errors: () => errors,
    ended: new Promise((done) => child.once("close", done)),
  };
}

/** As a browser: cookies are kept and redirects followed. *.localhost is this machine. */
async function follow(first: string): Promise<{ status: number; body: string }> {
  const cookies = new Map<string, string>();
  for (let url = new URL(first), hops = 0; ; hops += 1) {
    const answer = await get(
      url,
      [...cookies].map(([name, value]) => `${name}=${value}`),
    );
    for (const line of answer.headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const { location } = answer.headers;
    if (!location || hops > 5) return { status: answer.status, body: answer.body };
    url = new URL(location, url);
  }
}

function get(url: URL, cookies: readonly string[]) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>(
    (resolve, reject) => {
      const headers = { host: url.host, accept: "text/html", cookie: cookies.join("; ") };
      const { port, pathname, search } = url;
      request({ host: "127.0.0.1", port, path: pathname + search, headers }, (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      })
        .on("error", reject)
        .end();
    },
  );
}
