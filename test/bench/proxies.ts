// What stands between a load generator and an app in the bench of previews: nothing, Berth's gateway (with a node's link
// behind it, and alone), nginx, Caddy. The peers come from Debian packages, extracted and not installed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { FeedPreview } from "#contract/gateway-feed.ts";
import { systemClock } from "#lib/clock.ts";
import { run } from "#lib/run.ts";
import { BOX, emptyFeed, makeAuthority, nodeTls, serverTls } from "#test/harness/doors.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { previewSigner } from "#trust/preview-tokens.ts";
import { makeTicketKey } from "#trust/tickets.ts";
import type { CertificateAuthority } from "#trust/x509.ts";

const HOST = "127.0.0.1";
const ROOT = resolve(import.meta.dirname, "../..");
const PEERS = join(ROOT, ".tools/peers");
const PACKAGES = ["nginx", "caddy", "wrk", "libluajit-5.1-2", "libluajit-5.1-common"];
const LABEL = "abcdefghijklmnop";
const APP_PORT = 3000;
const START_MS = 60_000;

/** Where to send requests, and what they must carry. */
export interface Target {
  readonly url: string;
  readonly headers: readonly string[];
}

export interface Proxies {
  readonly direct: Target;
  readonly berth: Target;
  readonly berthAlone: Target;
  readonly nginx: Target;
  readonly caddy: Target;
  /** Two of them with TLS between: as ours are a gateway and a node. */
  readonly nginxTwice: Target;
  readonly caddyTwice: Target;
  readonly close: () => Promise<void>;
}

const peer = (path: string) => join(PEERS, "root", path);

export async function fetchPeers(): Promise<void> {
  if (existsSync(peer("usr/bin/wrk"))) return;
  await mkdir(PEERS, { recursive: true });
  await run(["apt-get", "download", ...PACKAGES], { cwd: PEERS });
  for (const file of await readdir(PEERS))
    if (file.endsWith(".deb")) await run(["dpkg", "-x", file, "root"], { cwd: PEERS });
}

/** The app is nginx itself: nothing that we could put there answers faster. */
export async function startProxies(directory: string, bigFileMib: number): Promise<Proxies> {
  const children: ChildProcess[] = [];
  const close = async () => {
    for (const child of children) {
      const over = child.exitCode === null ? once(child, "exit") : null;
      child.kill("SIGTERM"); // Killed harder, nginx leaves its worker behind.
      await over;
    }
  };
  try {
    await mkdir(join(directory, "www"), { recursive: true });
    await chmod(directory, 0o755); // nginx's worker is another user.
    await writeFile(join(directory, "www/big"), Buffer.alloc(bigFileMib << 20, "x"));
    const authority = await makeAuthority();
    const tls = await writeTls(directory, await serverTls(authority, "server"));
    const app = await freePort();
    children.push(await startNginx(directory, "app", appConfig(app, directory)));
    const plain = async (start: (listen: string) => Promise<ChildProcess>): Promise<Target> => {
      const port = await freePort();
      children.push(await start(String(port)));
      await answers(port);
      return { url: `http://${HOST}:${port}`, headers: [] };
    };
    const behind = [await freePort(), await freePort()] as const;
    children.push(
      await startNginx(directory, "inner", nginxProxy(`${behind[0]} ssl`, app, tls)),
      await startCaddy(directory, "inner", caddyProxy(`https://:${behind[1]}`, app, tls)),
    );
    await answers(app);
    const nginx = (name: string, to: number, hop?: TlsPaths) =>
      plain((listen) => startNginx(directory, name, nginxProxy(listen, to, undefined, hop)));
    const caddy = (name: string, to: number, hop?: TlsPaths) =>
      plain((listen) =>
        startCaddy(directory, name, caddyProxy(`http://:${listen}`, to, undefined, hop)),
      );
    return {
      direct: { url: `http://${HOST}:${app}`, headers: [] },
      ...(await startOurs(directory, app, children, authority)),
      nginx: await nginx("proxy", app),
      caddy: await caddy("proxy", app),
      nginxTwice: await nginx("outer", behind[0], tls),
      caddyTwice: await caddy("outer", behind[1], tls),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function nginxConfig(directory: string, name: string, server: string): string {
  return `daemon off; worker_processes 1; error_log ${directory}/${name}.log; pid ${directory}/${name}.pid;
events { worker_connections 1024; }
http { access_log off; sendfile on; keepalive_requests 1000000000; client_max_body_size 0;
client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3;
uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5;
${server} }
`;
}

function appConfig(port: number, directory: string): string {
  return `server { listen ${HOST}:${port}; root ${directory}/www;
location = / { return 200 "hello\\n"; } location = /upload { return 200 "taken\\n"; } }`;
}

interface TlsPaths {
  readonly certificate: string;
  readonly key: string;
}

async function writeTls(
  directory: string,
  files: { readonly certificatePem: string; readonly privateKeyPem: string },
): Promise<TlsPaths> {
  const paths = { certificate: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  await writeFile(paths.certificate, files.certificatePem);
  await writeFile(paths.key, files.privateKeyPem);
  return paths;
}

/** `own`: it speaks TLS itself. `hop`: what it passes on to does. */
function nginxProxy(listen: string, to: number, own?: TlsPaths, hop?: TlsPaths): string {
  const certificate = own
    ? `ssl_certificate ${own.certificate}; ssl_certificate_key ${own.key};`
    : "";
  return `upstream next { server ${HOST}:${to}; keepalive 64; keepalive_requests 1000000000; }
server { listen ${HOST}:${listen}; ${certificate} location / {
proxy_pass ${hop ? "https" : "http"}://next; proxy_http_version 1.1; proxy_ssl_verify off;
proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } }`;
}

function caddyProxy(address: string, to: number, own?: TlsPaths, hop?: TlsPaths): string {
  const certificate = own ? `tls ${own.certificate} ${own.key}` : "";
  const next = hop
    ? `https://${HOST}:${to} {\ntransport http {\ntls_insecure_skip_verify\n}\n}`
    : `${HOST}:${to}`;
  return `{\nadmin off\nauto_https off\n}\n${address} {\n${certificate}\nreverse_proxy ${next}\n}\n`;
}

async function startNginx(directory: string, name: string, server: string): Promise<ChildProcess> {
  const path = join(directory, `${name}.conf`);
  await writeFile(path, nginxConfig(directory, name, server));
  return spawn(peer("usr/sbin/nginx"), ["-c", path, "-p", directory], { stdio: "ignore" });
}

async function startCaddy(directory: string, name: string, text: string): Promise<ChildProcess> {
  const path = join(directory, `${name}.Caddyfile`);
  await writeFile(path, text);
  // One processor, as a Node process and one nginx worker have.
  const env = { HOME: directory, GOMAXPROCS: "1" };
  return spawn(peer("usr/bin/caddy"), ["run", "--adapter", "caddyfile", "--config", path], {
    stdio: "ignore",
    env,
  });
}

async function startOurs(
  directory: string,
  app: number,
  children: ChildProcess[],
  authority: CertificateAuthority,
) {
  const key = makeTicketKey();
  const preview: FeedPreview = {
    ...{ previewId: "preview_1", label: LABEL, boxId: BOX, port: APP_PORT, serial: 1 },
    visibility: "private",
  };
  const pass = { previewId: "preview_1", serial: 1, credentialId: "web_1", userId: "usr_1" };
  const signed = await previewSigner(key.privateKeyPem).pass(pass, Date.now());
  const ports = [[APP_PORT, app]];
  const start = async (role: "gateway" | "alone") => {
    const [clientPort, nodePort] = [await freePort(), await freePort()];
    const feed = emptyFeed(key.publicKeyPem, { previewOrigin: `http://*.localhost:${clientPort}` });
    const nodeDoor = { host: HOST, port: nodePort, tls: await serverTls(authority, "gateway") };
    await startNode(directory, children, role, {
      gateway: { nodeDoor, clientDoor: { host: HOST, port: clientPort } },
      feed: { ...feed, previews: [preview] },
      ports,
    });
    const host = `Host: ${APP_PORT}-${LABEL}.localhost:${clientPort}`;
    const headers = [host, `Cookie: __Host-berth-preview=${signed}`];
    return { target: { url: `http://${HOST}:${clientPort}`, headers }, nodePort };
  };
  const [gateway, alone] = [await start("gateway"), await start("alone")];
  await startNode(directory, children, "agent", {
    ports,
    gatewayUrl: `https://${HOST}:${gateway.nodePort}`,
    tls: await nodeTls(authority),
  });
  for (const { target } of [gateway, alone])
    await until(async () => (await fetchStatus(target)) === 200, "a preview of ours answers");
  return { berth: gateway.target, berthAlone: alone.target };
}

async function startNode(
  directory: string,
  children: ChildProcess[],
  role: string,
  config: object,
): Promise<void> {
  const path = join(directory, `${role}.json`);
  await writeFile(path, JSON.stringify(config));
  const file = join(ROOT, "test/harness/preview-process.ts");
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", file, role, path],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  children.push(child);
  await once(child.stdout as NodeJS.ReadableStream, "data");
}

/** fetch sends no Host of ours. */
async function fetchStatus({ url, headers }: Target): Promise<number> {
  const lines = headers.flatMap((line) => ["-H", line]);
  const { stdout } = await run([
    "curl",
    "-s",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    ...lines,
    url,
  ]);
  return Number(stdout);
}

async function answers(port: number): Promise<void> {
  await until(
    () =>
      fetch(`http://${HOST}:${port}/`).then(
        () => true,
        () => false,
      ),
    `port ${port} answers`,
  );
}

async function until(isTrue: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + START_MS;
  while (!(await isTrue())) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`never: ${what}`);
    await systemClock.sleep(50);
  }
}

/** Requests a second by wrk, over that many connections. */
export async function requestsPerSecond(target: Target, connections: number, seconds: number) {
  const { stdout } = await run(
    [
      peer("usr/bin/wrk"),
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      ...flags(target),
      `${target.url}/`,
    ],
    { env: { LD_LIBRARY_PATH: peer("usr/lib/x86_64-linux-gnu") } },
  );
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  if (!rate || /Non-2xx/.test(stdout)) throw new Error(`wrk says:\n${stdout}`);
  return rate;
}

/** MB/s of one download of the big file. */
export async function downloadMbPerSecond({ url, headers }: Target): Promise<number> {
  const args = ["-s", "-o", "/dev/null", "-w", "%{http_code} %{speed_download}"];
  const lines = headers.flatMap((line) => ["-H", line]);
  const { stdout } = await run(["curl", ...args, ...lines, `${url}/big`]);
  const [status, speed] = stdout.split(" ");
  if (status !== "200") throw new Error(`the download ended with ${status}`);
  return Number(speed) / 1e6;
}

function flags({ headers }: Target): string[] {
  return headers.flatMap((line) => ["-H", line]);
}
