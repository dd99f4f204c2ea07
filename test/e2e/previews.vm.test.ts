// A program in a real box, seen through its preview: served, shared by a link, paused, woken by a request with its memory
// kept, and taken away.

import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { TestInstallation, until } from "#test/harness/installation.ts";

/** Counts what it has answered: in memory, so that a count that goes on is a box that was not started anew. */
const APP = `use IO::Socket::INET; $| = 1;
my $door = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 3000, Listen => 64, ReuseAddr => 1) or die $!;
my $n = 0;
while (my $one = $door->accept) {
  my $head = ""; while (my $line = <$one>) { $head .= $line; last if $line eq "\\r\\n"; }
  $n++; my $body = "count $n\\n$head";
  print $one "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body"; close $one;
}`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly ms: number;
}

/** The name of a preview is not in DNS for Node: its port is. */
function get(url: string, cookie?: string): Promise<Answer> {
  const { host, port, pathname, search } = new URL(url);
  const startedMs = performance.now();
  return new Promise((done, fail) => {
    const sent = request({
      ...{ host: "127.0.0.1", port, path: pathname + search, agent: false },
      headers: { host, ...(cookie ? { cookie } : {}) },
    });
    sent.on("error", fail);
    sent.on("response", async (answer) => {
      let body = "";
      for await (const part of answer) body += part;
      const ms = performance.now() - startedMs;
      done({ status: answer.statusCode ?? 0, headers: answer.headers, body, ms });
    });
    sent.end();
  });
}

test("previews of a real box", async (t) => {
  const berth = await TestInstallation.make("qemu");
  t.after(() => berth.close());
  const step = (name: string, body: () => Promise<void>) =>
    t.test(name, async () => {
      await body().catch(async (error) => {
        throw new Error(`${error.message}\n${await berth.logTails()}`, { cause: error });
      });
    });
  const phase = async () => (await berth.json<{ phase: string }>(["show", "first"])).phase;
  let url = "";
  let cookie = "";

  await step("up; a program in the box gets an address, a link opens it", async () => {
    await berth.ok(["up", "--detach"]);
    await berth.ok(["exec", "--detach", "first", "--", "perl", "-e", APP]);
    ({ url } = await berth.json<{ url: string }>(["port", "open", "first", "3000"]));
    await until("the gateway hears of it", async () => (await get(url)).status === 401);
    const link = await berth.json<{ url: string }>(["port", "share", "first", "3000"]);
    const entered = await get(link.url);
    assert.equal(entered.status, 302, entered.body);
    [cookie = ""] = entered.headers["set-cookie"]?.[0]?.split(";") ?? [];
    await until("the program answers", async () => (await get(url, cookie)).status === 200);
    const { body } = await get(url, cookie);
    assert.match(body, /^count \d+\nGET \/ HTTP\/1\.1\r\nHost: 3000-/);
    assert.doesNotMatch(body, /cookie/i);
  });

  await step("200 requests that find the box paused wake it, and all are served", async () => {
    const before = Number(/count (\d+)/.exec((await get(url, cookie)).body)?.[1]);
    await berth.ok(["pause", "first"]);
    await until("it is paused", async () => (await phase()) === "paused");
    const answers = await Promise.all(Array.from({ length: 200 }, () => get(url, cookie)));
    assert.ok(
      answers.every(({ status }) => status === 200),
      answers.map(({ status }) => status).join(),
    );
    const counts = answers.map(({ body }) => Number(/count (\d+)/.exec(body)?.[1]));
    assert.deepEqual(
      counts.sort((a, b) => a - b),
      Array.from({ length: 200 }, (_, at) => before + 1 + at),
    );
    const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
    t.diagnostic(`first after ${times[0]?.toFixed(0)} ms, last after ${times[199]?.toFixed(0)} ms`);
  });

  await step("a first byte beside a resume and a warm request", async () => {
    await berth.ok(["pause", "first"]);
    await until("it is paused", async () => (await phase()) === "paused");
    const woken = await get(url, cookie);
    const warm = await get(url, cookie);
    await berth.ok(["pause", "first"]);
    await until("it is paused", async () => (await phase()) === "paused");
    const startedMs = performance.now();
    await berth.ok(["resume", "first"]);
    const resumeMs = performance.now() - startedMs;
    t.diagnostic(
      `first byte ${woken.ms.toFixed(0)} ms; \`berth resume\` ${resumeMs.toFixed(0)} ms, then a request ${warm.ms.toFixed(0)} ms`,
    );
    assert.equal(woken.status, 200);
  });

  await step("closed: 410, and what was open has no way back", async () => {
    await berth.ok(["port", "close", "first", "3000"]);
    await until("it is gone", async () => (await get(url, cookie)).status === 410);
    const again = await berth.json<{ url: string }>(["port", "open", "first", "3000"]);
    assert.notEqual(again.url, url);
    assert.equal((await get(url, cookie)).status, 410);
    await until("it is known", async () => (await get(again.url, cookie)).status === 401);
  });
});
