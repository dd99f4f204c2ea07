// Reduced mode: previews below a path of the gateway's origin, for those who have one host name. What they share must
// still be of no use to one another.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium, newPerson } from "#test/harness/preview-world.ts";
import {
  ask,
  headerOf,
  LABEL,
  NAVIGATION,
  openPreviews,
  PASS,
  type PreviewRig,
  statusOf,
} from "#test/harness/previews.ts";

const BASE = `/p/3000-${LABEL}`;
let rig: PreviewRig;

before(async () => {
  rig = await openPreviews({ isReduced: true });
});
after(() => rig.end());

function get(path: string, lines: readonly string[] = [], method = "GET"): Promise<string> {
  const head = [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${rig.port}`, "Connection: close"];
  return ask(rig, `${[...head, ...lines].join("\r\n")}\r\n\r\n`);
}

async function enter(path = "/"): Promise<string> {
  const link = await rig.signer.link({ ...PASS, userId: null }, Date.now(), 3_600_000);
  const [location = ""] = headerOf(await get(`${BASE}${path}?berth_link=${link}`), "location");
  return location;
}

test("a login leads to an address with a key, which stands for the pass", async () => {
  await rig.http((request, response) => response.end(`app at ${request.url}`));
  assert.deepEqual(headerOf(await get(BASE), "location"), [`${BASE}/`]);
  assert.equal(statusOf(await get(`${BASE}/`)), 401);
  const begun = await get(`${BASE}/deep?x=1`, NAVIGATION);
  assert.equal(statusOf(begun), 302);
  const cookie = headerOf(begun, "set-cookie")[0]?.split(";")[0] ?? "";
  const nonce = cookie.slice(cookie.indexOf("=") + 1).split(".")[0] ?? "";
  const path = `${BASE}/.berth/enter?code=${await rig.code(nonce)}`;
  const entered = await get(path, [...NAVIGATION, `Cookie: ${cookie}`]);
  const [location = ""] = headerOf(entered, "location");
  assert.match(location, new RegExp(`^${BASE}/~[\\w-]{22}/deep\\?x=1$`));
  assert.match(await get(location), /app at \/deep\?x=1$/);
  assert.equal(statusOf(await get(location.replace(/~.{22}/, `~${"x".repeat(22)}`))), 401);
  assert.match(await get("/healthz"), /"boxes":1/);
});

test("a page is sandboxed; its cookies go nowhere, and its redirects stay below its address", async () => {
  await rig.http((request, response) => {
    response.setHeader("set-cookie", "a=b");
    if (request.url === "/moved") response.writeHead(302, { location: "/there" });
    response.end(JSON.stringify(request.headers));
  });
  const address = await enter();
  const answer = await get(address, ["Cookie: other=preview"]);
  assert.match(headerOf(answer, "content-security-policy").join(), /^sandbox (?!.*same-origin)/);
  assert.deepEqual(headerOf(answer, "set-cookie"), []);
  assert.deepEqual(headerOf(answer, "referrer-policy"), ["no-referrer"]);
  assert.doesNotMatch(answer, /other=preview/);
  const moved = await get(`${address}moved`);
  assert.deepEqual(headerOf(moved, "location"), [`${address}there`]);
});

test("in Chromium: modules, fetch and WebSockets work, storage and siblings do not", async (t) => {
  const module = `
    const reach = async (what) => { try { await what(); return "reached"; } catch { return "refused"; } };
    const socket = (url) => new Promise((done, fail) => {
      const one = new WebSocket(url); one.onopen = done; one.onerror = fail; });
    const results = {
      own: await reach(async () => (await fetch("data", { method: "POST", headers: { "x-a": "b" } })).text()),
      socket: await reach(() => socket(new URL("socket", location.href).href.replace("http", "ws"))),
      storage: await reach(async () => localStorage.setItem("a", "b")),
      cookie: await reach(async () => { document.cookie = "a=b"; }),
      worker: await reach(() => navigator.serviceWorker.register("sw.js")),
      gateway: await reach(async () => (await fetch("/healthz")).text()),
    };
    document.body.textContent = JSON.stringify(results);`;
  const server = await rig.http((request, response) => {
    const isScript = request.url?.endsWith(".js");
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? module : `<body><script type="module" src="main.js"></script>`);
  });
  const { WebSocketServer } = await import("ws");
  new WebSocketServer({ server });
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await newPerson(browser);
  const address = await enter();
  await page.goto(`http://localhost:${rig.port}${address}`);
  await page.waitForFunction(`document.body.textContent.startsWith("{")`);
  assert.deepEqual(JSON.parse((await page.textContent("body")) ?? ""), {
    ...{ own: "reached", socket: "reached", storage: "refused", cookie: "refused" },
    ...{ worker: "refused", gateway: "refused" },
  });
});
