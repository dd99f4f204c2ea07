// What crosses between Berth and the apps of previews: exactly these headers and cookies, framed in one way, for those
// who may. Each defence is tried a second time switched off, where the same attack must succeed.

import assert from "node:assert/strict";
import type { IncomingHttpHeaders, RequestListener } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import {
  ask,
  get,
  headerOf,
  NAVIGATION,
  openPreviews,
  type PreviewRig,
  RawClient,
  statusOf,
} from "#test/harness/previews.ts";
import type { PreviewDefences } from "./preview-defences.ts";

let rig: PreviewRig;
/** All of them off. */
let open: PreviewRig;

const OFF: PreviewDefences = {
  ...{ ownOriginOnly: false, platformSecrets: false, hostCookies: false, answerReach: false },
  ...{ nonce: false, onceOnly: false, relativeReturn: false, noReferrer: false, endings: false },
  pausesHold: false,
};

before(async () => {
  [rig, open] = await Promise.all([openPreviews(), openPreviews({ defences: OFF })]);
});
after(() => Promise.all([rig.end(), open.end()]));

/** Runs the same with all defences, then without. */
async function both(listener: RequestListener, check: (rig: PreviewRig) => Promise<string>) {
  const answers: string[] = [];
  for (const one of [rig, open]) {
    await one.http(listener);
    answers.push(await check(one));
  }
  return answers as [string, string];
}

/** Answers with what it was sent. */
const echo: RequestListener = (request, response) =>
  response.end(JSON.stringify(request.rawHeaders));

function headersIn(answer: string): [string, string][] {
  const raw = JSON.parse(answer.slice(answer.indexOf("["), answer.lastIndexOf("]") + 1));
  return (raw as string[]).flatMap((name, at) =>
    at % 2 === 0 ? [[name, raw[at + 1]] as [string, string]] : [],
  );
}

const FROM_BROWSER = [
  "Accept: text/html",
  "Cookie: theme=dark; session=1",
  "Authorization: Basic YTpi",
  "Referer: http://elsewhere/",
  "X-Custom: a,b",
  "X-Forwarded-For: 6.6.6.6",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: evil",
  "X-Forwarded-Prefix: /evil",
  "Forwarded: for=6.6.6.6",
  "X-Real-IP: 6.6.6.6",
  "Via: 1.0 fred",
  "X-Berth-User: usr_admin",
  "x-berth-anything: 1",
  "Authorization: Bearer berth_abcdef",
  "TE: trailers",
  "Keep-Alive: 300",
  "Proxy-Authorization: Basic x",
  "Proxy-Connection: keep-alive",
  "Connection: x-hop",
  "X-Hop: of this connection",
];

test("the app gets the browser's headers, ours afresh, and nothing of the platform", async () => {
  const [kept, leaked] = await both(echo, async (one) => {
    const cookie = await one.cookie();
    return get(one, "/a?b=c", [
      ...FROM_BROWSER,
      `Cookie: first=1; ${cookie}; last=2`,
      "Cookie: __Host-berth=stolen; __host-BERTH-x=1; =__Host-berth-preview=x; ok=3",
    ]);
  });
  assert.deepEqual(headersIn(kept), [
    ["Host", rig.host()],
    ["Accept", "text/html"],
    ["Cookie", "theme=dark; session=1"],
    ["Authorization", "Basic YTpi"],
    ["Referer", "http://elsewhere/"],
    ["X-Custom", "a,b"],
    ["Cookie", "first=1; last=2"],
    ["Cookie", "ok=3"],
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Host", rig.host()],
    ["X-Forwarded-Proto", "http"],
  ]);
  assert.match(leaked, /berth_abcdef.*__Host-berth-preview=ey.*__Host-berth=stolen/s);
});

const FROM_APP: [string, string][] = [
  ["Content-Type", "text/plain"],
  ["Set-Cookie", "plain=1; Path=/; HttpOnly"],
  ["Set-Cookie", "wide=1; Domain=localhost; Path=/"],
  ["Set-Cookie", "wider=1; domain = .localhost ;Secure"],
  ["Set-Cookie", "__Host-berth-preview=forged; Path=/; Secure"],
  ["Set-Cookie", "__host-berth=forged"],
  ["Set-Cookie", "=__Host-berth-preview=forged"],
  ["Set-Cookie", "__Host-berth-preview"],
  ["Clear-Site-Data", '"*"'],
  ["Strict-Transport-Security", "max-age=1; includeSubDomains"],
  ["Alt-Svc", 'h3="evil:443"'],
  ["Service-Worker-Allowed", "/"],
  ["X-Berth-Anything", "1"],
  ["X-Custom", "kept"],
  ["Keep-Alive", "timeout=5"],
];

test("the browser gets the app's headers, and none that reach beyond the app", async () => {
  const [kept, leaked] = await both(
    (_, response) => {
      response.sendDate = false;
      response.writeHead(200, FROM_APP.flat()).end("x");
    },
    async (one) => get(one, "/", [`Cookie: ${await one.cookie()}`]),
  );
  assert.deepEqual(kept.slice(0, kept.indexOf("\r\n\r\n")).split("\r\n"), [
    "HTTP/1.1 200 OK",
    "Content-Type: text/plain",
    "Set-Cookie: plain=1; Path=/; HttpOnly",
    "Set-Cookie: wide=1; Path=/",
    "Set-Cookie: wider=1;Secure",
    "X-Custom: kept",
    "Transfer-Encoding: chunked",
    "Connection: close",
  ]);
  for (const name of ["Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed"])
    assert.equal(headerOf(leaked, name).length, 1);
  assert.match(leaked, /Domain=localhost/);
  assert.match(leaked, /__Host-berth-preview=forged/);
});

/** Two parsers could see a second request in each of these. `H`: the host. */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const AMBIGUOUS: Record<string, string> = {
  "CL.TE": `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "TE.CL": `Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n`,
  "TE.TE, one hidden": `Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "two lengths": `Content-Length: 0\r\nContent-Length: 40\r\n\r\n${SMUGGLED}`,
  "two equal lengths": `Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
  "a list of lengths": `Content-Length: 0, 40\r\n\r\n${SMUGGLED}`,
  "a signed length": `Content-Length: +0\r\n\r\n${SMUGGLED}`,
  "a length in hexadecimal": `Content-Length: 0x0\r\n\r\n${SMUGGLED}`,
  "blank before the colon": `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "blank after the value": `Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "vertical tab": `Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "quoted coding": `Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "a coding beside chunked": `Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "obs-fold": `X: y\r\n Transfer-Encoding: chunked\r\n\r\n`,
  "folded coding": `Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "bare LF between lines": `X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "bare LF at the end": `X: y\r\n\n${SMUGGLED}`,
  "bare CR in a value": `X: y\rTransfer-Encoding: chunked\r\n\r\n`,
  "NUL in a value": `X: y\0z\r\n\r\n`,
  "no colon": `Transfer-Encoding\r\n\r\n`,
  "chunk extension": `Transfer-Encoding: chunked\r\n\r\n0;a=b\r\n\r\n`,
  "chunk size with blanks": `Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n`,
  "chunk ended by LF": `Transfer-Encoding: chunked\r\n\r\n1\nZ\r\n0\r\n\r\n`,
  "chunk longer than said": `Transfer-Encoding: chunked\r\n\r\n1\r\nZZ\r\n0\r\n\r\n`,
  "endless chunk size": `Transfer-Encoding: chunked\r\n\r\n0000000000000000000001\r\nZ\r\n`,
  "two Hosts": `Host: other\r\n\r\n`,
  "WebSocket with a body": `Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 40\r\n\r\n${SMUGGLED}`,
};

test("what could be framed in two ways is refused, and nothing of it reaches the app", async (t) => {
  let received = "";
  const listen = (one: PreviewRig) =>
    one.tcp((socket) => {
      socket.on("data", (bytes) => {
        received += bytes.toString("latin1");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
  await listen(rig);
  const cookie = await rig.cookie();
  for (const [name, rest] of Object.entries(AMBIGUOUS))
    for (const method of ["GET", "POST"])
      await t.test(`${method}, ${name}`, async () => {
        received = "";
        const head = `${method} /outer HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${cookie}\r\n`;
        const answer = await ask(rig, head + rest);
        assert.equal(statusOf(answer), 400, answer);
        assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, answer);
        // A bad chunk is met when the head has gone on; nothing that was hidden has.
        assert.doesNotMatch(received, /smuggled|ZZ/);
      });
});

test("without the strict reader the same requests do reach an app", async () => {
  // A plain pipe to the box in the gateway's place.
  let received = "";
  const { driver } = rig.doors;
  await rig.tcp((socket) => socket.on("data", (bytes) => (received += bytes.toString("latin1"))));
  for (const rest of Object.values(AMBIGUOUS)) {
    const pipe = connect({ port: driver.ports.get(3000) ?? 0, host: "127.0.0.1" });
    await new Promise((done) =>
      pipe.end(`POST /outer HTTP/1.1\r\nHost: h\r\n${rest}`, "latin1", () => done(0)),
    );
  }
  while (!received.includes("WebSocket") && !received.includes("Upgrade: websocket"))
    await new Promise((done) => setImmediate(done));
  assert.ok((received.match(/\/smuggled/g)?.length ?? 0) > 5);
});

test("an answer that could be framed in two ways is not passed on", async (t) => {
  const answers: Record<string, string> = {
    "CL.TE": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nok",
    "bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "obs-fold": "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "header injection by CR": "HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: a=b\r\n\r\n",
    "an upgrade nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
  };
  let answer = "";
  await rig.tcp((socket) => socket.once("data", () => socket.write(answer, "latin1")));
  for (const [name, text] of Object.entries(answers))
    await t.test(name, async () => {
      answer = text;
      const seen = await get(rig, "/", [`Cookie: ${await rig.cookie()}`]);
      assert.equal(statusOf(seen), 502, seen);
      assert.deepEqual(headerOf(seen, "set-cookie"), []);
    });
});

test("what an app says beyond its answer is never the next one's", async () => {
  let connections = 0;
  await rig.tcp((socket) => {
    connections += 1;
    const extra = connections === 1 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : "";
    socket.on("data", () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${extra}`));
  });
  const head = `GET / HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${await rig.cookie()}\r\n`;
  const client = new RawClient(rig.port);
  await client.say(`${head}\r\n`).hears(/ok$/);
  const heard = await client.say(`${head}Connection: close\r\n\r\n`).closes();
  assert.equal(heard.match(/ok/g)?.length, 2, heard);
  assert.doesNotMatch(heard, /evil/);
  assert.equal(connections, 2);
});

test("users on one connection, as a proxy in front brings them, never share one to the app", async () => {
  const users = new Map<number, Set<string>>();
  let connections = 0;
  await rig.tcp((socket) => {
    connections += 1;
    const at = connections;
    socket.on("data", (bytes) => {
      const user = /X-User: (\w+)/.exec(bytes.toString())?.[1] ?? "";
      users.set(at, (users.get(at) ?? new Set()).add(user));
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const client = new RawClient(rig.port);
  for (const user of ["ann", "bob", "ann", "bob", "bob"]) {
    const cookie = await rig.cookie({ userId: `usr_${user}` });
    client.heard = "";
    client.say(
      `GET / HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${cookie}\r\nX-User: ${user}\r\n\r\n`,
    );
    await client.hears(/ok$/);
  }
  client.end();
  assert.deepEqual(
    [...users.values()].map((set) => [...set].join()),
    ["ann", "bob", "ann", "bob"],
  );
});

test("who may enter: only with a pass for this preview, as it is now", async (t) => {
  await rig.http((_, response) => response.end("app"));
  const refused = async (cookie: string) => {
    const answer = await get(rig, "/", cookie ? [`Cookie: ${cookie}`] : []);
    assert.equal(statusOf(answer), 401, answer);
  };
  await t.test("with one", async () =>
    assert.equal(statusOf(await get(rig, "/", [`Cookie: ${await rig.cookie()}`])), 200),
  );
  await t.test("without", () => refused(""));
  await t.test("not a token", () => refused("__Host-berth-preview=x.y.z"));
  await t.test("of another preview", async () =>
    refused(await rig.cookie({ previewId: "preview_2" })),
  );
  await t.test("of an earlier serial", async () => refused(await rig.cookie({ serial: 0 })));
  await t.test("over", async () => {
    const pass = { previewId: "preview_1", serial: 1, credentialId: "web_1", userId: "usr_1" };
    const old = await rig.signer.pass(pass, Date.now() - 2 * 3_600_000);
    await refused(`__Host-berth-preview=${old}`);
  });
  await t.test("signed by another installation", async () =>
    refused((await open.cookie()).toString()),
  );
  await t.test("two of them", async () => {
    const cookie = await rig.cookie();
    await refused(`${cookie}; ${cookie}`);
  });
  await t.test("a code is no pass", async () =>
    refused(`__Host-berth-preview=${await rig.code("n")}`),
  );
  await t.test("revoked", async () => {
    const cookie = await rig.cookie({ credentialId: "web_gone" });
    rig.revoke({ credentialId: "web_gone", untilMs: Date.now() + 3_600_000 });
    await refused(cookie);
  });
  await t.test("public: everybody", async () => {
    rig.set({ visibility: "public" });
    assert.equal(statusOf(await get(rig)), 200);
    rig.set({ visibility: "private" });
  });
});

test("links open until they end, and leave no trace in the address", async () => {
  await rig.http((request, response) => response.end(`app at ${request.url}`));
  const link = (lifetimeMs: number) =>
    rig.signer.link(
      { previewId: "preview_1", serial: 1, credentialId: "link_1", userId: null },
      Date.now(),
      lifetimeMs,
    );
  const text = await link(3_600_000);
  const answer = await get(rig, `/a?x=1&berth_link=${text}&y=2`, NAVIGATION);
  assert.equal(statusOf(answer), 302);
  assert.deepEqual(headerOf(answer, "location"), ["/a?x=1&y=2"]);
  assert.deepEqual(headerOf(answer, "referrer-policy"), ["no-referrer"]);
  const [cookie = ""] = headerOf(answer, "set-cookie");
  assert.match(
    cookie,
    /^__Host-berth-preview=ey[\w.-]+; Max-Age=35\d\d; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
  );
  const pair = cookie.split(";")[0] ?? "";
  assert.match(await get(rig, "/a", [`Cookie: ${pair}`]), /app at \/a$/);
  rig.revoke({ credentialId: "link_1", untilMs: Date.now() + 3_600_000 });
  assert.equal(statusOf(await get(rig, "/a", [`Cookie: ${pair}`])), 401);
  assert.equal(statusOf(await get(rig, `/?berth_link=${text}`, NAVIGATION)), 403);
  assert.equal(statusOf(await get(rig, `/?berth_link=${await link(-60_000)}`, NAVIGATION)), 403);
  const loose = await get(open, "/?berth_link=x", NAVIGATION);
  assert.deepEqual(headerOf(loose, "referrer-policy"), []);
});

interface Login {
  readonly nonce: string;
  readonly cookie: string;
  readonly location: URL;
}

async function beginLogin(one: PreviewRig, path: string): Promise<Login> {
  const answer = await get(one, path, NAVIGATION);
  assert.equal(statusOf(answer), 302, answer);
  assert.deepEqual(headerOf(answer, "cache-control"), ["no-store"]);
  const [cookie = ""] = headerOf(answer, "set-cookie");
  assert.match(cookie, /^__Host-berth-preview-nonce=.*; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
  const pair = cookie.split(";")[0] ?? "";
  const nonce = pair.slice(pair.indexOf("=") + 1).split(".")[0] ?? "";
  return { nonce, cookie: pair, location: new URL(headerOf(answer, "location")[0] ?? "") };
}

test("a login goes to the dashboard and back: one code, one browser, once, to where it began", async () => {
  for (const one of [rig, open]) await one.http((_, response) => response.end("app"));
  const { nonce, cookie, location } = await beginLogin(rig, "/deep/path?q=1");
  assert.equal(location.origin, rig.doors.known.settings.dashboardOrigin);
  assert.equal(location.pathname, "/v1/preview-authorize");
  assert.equal(location.searchParams.get("port"), "3000");
  assert.doesNotMatch(location.href, /deep/);
  const code = await rig.code(nonce);
  const enter = (one: PreviewRig, text: string, lines: string[]) =>
    get(one, `/.berth/enter?code=${text}`, [...NAVIGATION, ...lines]);
  // Another browser, which has no such nonce, or one of its own.
  assert.equal(statusOf(await enter(rig, code, [])), 403);
  const other = await beginLogin(rig, "/");
  assert.equal(statusOf(await enter(rig, code, [`Cookie: ${other.cookie}`])), 403);
  const entered = await enter(rig, code, [`Cookie: ${cookie}`]);
  assert.equal(statusOf(entered), 302, entered);
  assert.deepEqual(headerOf(entered, "location"), ["/deep/path?q=1"]);
  assert.deepEqual(headerOf(entered, "referrer-policy"), ["no-referrer"]);
  const pass = headerOf(entered, "set-cookie")[0]?.split(";")[0] ?? "";
  assert.match(await get(rig, "/", [`Cookie: ${pass}`]), /app$/);
  assert.equal(statusOf(await enter(rig, code, [`Cookie: ${cookie}`])), 403);
  // Without nonce and memory, any browser takes it, twice.
  const loose = await open.code("x");
  assert.equal(statusOf(await enter(open, loose, [])), 302);
  assert.equal(statusOf(await enter(open, loose, [])), 302);
});

test("a code of another preview, an earlier serial, or another time opens nothing", async () => {
  const { nonce, cookie } = await beginLogin(rig, "/");
  for (const code of [
    await rig.code(nonce, { previewId: "preview_2" }),
    await rig.code(nonce, { serial: 0 }),
    (await rig.cookie()).split("=")[1] ?? "",
    "x",
  ]) {
    const lines = [...NAVIGATION, `Cookie: ${cookie}`];
    assert.equal(statusOf(await get(rig, `/.berth/enter?code=${code}`, lines)), 403);
  }
});

test("two tabs log in at once, and each arrives where it began", async () => {
  await rig.http((_, response) => response.end("app"));
  const first = await beginLogin(rig, "/one");
  const lines = [...NAVIGATION, `Cookie: ${first.cookie}`];
  const answer = await get(rig, "/two", lines);
  const cookie = headerOf(answer, "set-cookie")[0]?.split(";")[0] ?? "";
  for (const [at, path] of ["/one", "/two"].entries()) {
    const nonce = cookie.split("=")[1]?.split("~")[at]?.split(".")[0] ?? "";
    const code = await rig.code(nonce);
    const entered = await get(rig, `/.berth/enter?code=${code}`, [
      ...NAVIGATION,
      `Cookie: ${cookie}`,
    ]);
    assert.deepEqual(headerOf(entered, "location"), [path]);
  }
});

const ELSEWHERE = [
  ...[
    "//evil.test",
    "//evil.test/%2f",
    "/\\evil.test",
    "\\\\evil.test",
    "/%09/evil.test",
    "///evil.test",
  ],
  ...["//evil.test@here/", "/.berth/enter?code=x", "//%65vil.test", "/\u00e9"],
];

test("no path that a login or a link comes back to leads off the origin", async () => {
  const origin = rig.origin();
  for (const path of ELSEWHERE) {
    const raw = Buffer.from(path, "utf8").toString("latin1");
    const cookieOf = (nonce: string) =>
      `__Host-berth-preview-nonce=${nonce}.${Buffer.from(raw, "latin1").toString("base64url")}`;
    const nonce = "n".repeat(22);
    const code = await rig.code(nonce);
    const lines = [...NAVIGATION, `Cookie: ${cookieOf(nonce)}`];
    const entered = await get(rig, `/.berth/enter?code=${code}&next=${path}`, lines);
    if (statusOf(entered) === 400) continue; // Not even a path.
    const [location = ""] = headerOf(entered, "location");
    assert.equal(new URL(location, origin).origin, origin, `${path} → ${location}`);
    assert.doesNotMatch(location, /^(\/\/|\/\\)/);
  }
  const code = await open.code("x");
  const answer = await get(open, `/.berth/enter?code=${code}&next=//evil.test/`, NAVIGATION);
  assert.deepEqual(headerOf(answer, "location"), ["//evil.test/"]);
});

test("another origin's page reaches a private preview by a plain navigation and nothing else", async (t) => {
  const served: string[] = [];
  const listener: RequestListener = (request, response) => {
    served.push(request.method ?? "");
    response.end("app");
  };
  await rig.http(listener);
  await open.http(listener);
  const from = (origin: string, site: string, mode: string, dest: string) => [
    ...(origin ? [`Origin: ${origin}`] : []),
    ...[`Sec-Fetch-Site: ${site}`, `Sec-Fetch-Mode: ${mode}`, `Sec-Fetch-Dest: ${dest}`],
  ];
  const evil = "http://evil.test";
  const attacks: Record<string, [string, string[]]> = {
    "a form that posts": ["POST", from(evil, "cross-site", "navigate", "document")],
    "a form of a sibling": ["POST", from(rig.origin(3001), "same-site", "navigate", "document")],
    "an image": ["GET", from("", "cross-site", "no-cors", "image")],
    "a script of a sibling": ["GET", from("", "same-site", "no-cors", "script")],
    "a frame": ["GET", from("", "cross-site", "navigate", "iframe")],
    "a fetch": ["GET", from(evil, "cross-site", "cors", "empty")],
    "a sandboxed page": ["POST", from("null", "cross-site", "navigate", "document")],
    "an old browser's form": ["POST", [`Origin: ${evil}`]],
  };
  for (const [name, [method, lines]] of Object.entries(attacks))
    await t.test(name, async () => {
      const run = async (one: PreviewRig) => {
        const head = [`${method} / HTTP/1.1`, `Host: ${one.host()}`, "Connection: close"];
        const cookie = `Cookie: ${await one.cookie()}`;
        return statusOf(await ask(one, `${[...head, cookie, ...lines].join("\r\n")}\r\n\r\n`));
      };
      assert.equal(await run(rig), 403);
      assert.equal(await run(open), 200);
    });
  await t.test("a WebSocket", async () => {
    const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    for (const origin of [
      evil,
      "null",
      rig.origin(3001),
      `${rig.origin()}.evil.test`,
      `${rig.origin()}@evil.test`,
    ]) {
      const lines = [...upgrade, `Origin: ${origin}`, `Cookie: ${await rig.cookie()}`];
      const head = [`GET / HTTP/1.1`, `Host: ${rig.host()}`, ...lines].join("\r\n");
      assert.equal(statusOf(await ask(rig, `${head}\r\n\r\n`)), 403, origin);
    }
  });
  await t.test("a link that a person follows", async () => {
    const lines = from("", "cross-site", "navigate", "document");
    assert.equal(statusOf(await get(rig, "/", [...lines, `Cookie: ${await rig.cookie()}`])), 200);
  });
});

test("an open answer goes on after its right has ended only with that defence off", async () => {
  let heard: IncomingHttpHeaders | null = null;
  const listener: RequestListener = (request, response) => {
    heard = request.headers;
    response.write("begun");
    setTimeout(() => response.end("ended"), 1500);
  };
  const [kept, leaked] = await both(listener, async (one) => {
    const credentialId = "web_ends";
    const answer = get(one, "/", [`Cookie: ${await one.cookie({ credentialId })}`]);
    while (!heard) await new Promise((done) => setTimeout(done, 5));
    heard = null;
    one.revoke({ credentialId, untilMs: Date.now() + 3_600_000 });
    return answer;
  });
  assert.doesNotMatch(kept, /ended/);
  assert.match(leaked, /ended/);
});
