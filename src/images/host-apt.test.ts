// Which of a host's apt sources an image is built from, and what of apt's options goes along.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Run } from "#lib/run.ts";
import { aptFetchOptions, BUILD_PACKAGES, debianSources, ensureBuildPackages } from "./host-apt.ts";

async function aptDirectory(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "berth-apt-"));
  await mkdir(join(directory, "sources.list.d"));
  for (const [name, content] of Object.entries(files))
    await writeFile(join(directory, name), content);
  return directory;
}

test("Debian's stanzas are kept, comments, others' and disabled ones are not", async (t) => {
  const directory = await aptDirectory({
    "sources.list.d/debian.sources": [
      "Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k",
      "Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main contrib",
      "Types: deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main",
      "Enabled: no\nTypes: deb\nURIs: http://off.test\nSuites: bookworm\nComponents: main",
    ].join("\n\n"),
    "sources.list.d/node.sources":
      "Types: deb\nURIs: http://node.test\nSuites: nodistro\nComponents: main\n",
    "sources.list.d/off.sources.disabled":
      "Types: deb\nURIs: http://other.test\nSuites: bookworm\nComponents: main\n",
  });
  t.after(() => rm(directory, { recursive: true }));
  const files = await debianSources("bookworm", directory);
  assert.deepEqual([...files.keys()], ["debian.sources"]);
  const text = files.get("debian.sources") ?? "";
  assert.deepEqual(
    [...text.matchAll(/^URIs: (.*)$/gm)].map(([, uri]) => uri),
    ["http://mirror.test/debian", "http://mirror.test/security"],
  );
  assert.doesNotMatch(text, /#/);
});

test("one-line sources are kept by suite and component", async (t) => {
  const kept = [
    "deb http://mirror.test/debian bookworm main contrib",
    "deb [arch=amd64 signed-by=/k] http://mirror.test/debian bookworm-updates main",
    "deb http://mirror.test/security bookworm-security main",
  ];
  const directory = await aptDirectory({
    "sources.list": `# local\n${kept[0]}\ndeb-src http://mirror.test/debian bookworm main\n`,
    "sources.list.d/more.list": `${kept[1]}\n${kept[2]} # trailing\n`,
    "sources.list.d/cloud.list": "deb http://x.test/apt cloud-sdk-bookworm main\n",
    "sources.list.d/docker.list": "deb http://d.test/linux bookworm stable\n",
    "sources.list.d/new.list": "deb http://mirror.test/debian trixie main\n",
  });
  t.after(() => rm(directory, { recursive: true }));
  const files = await debianSources("bookworm", directory);
  assert.equal(files.get("debian.list"), `${kept.join("\n")}\n`);
});

test("a host without such a source is told what to add", async (t) => {
  const directory = await aptDirectory({ "sources.list": "deb http://u.test jammy main\n" });
  t.after(() => rm(directory, { recursive: true }));
  await assert.rejects(debianSources("bookworm", directory), /no source of Debian 'bookworm'.*add/);
});

test("options that say how to fetch go along, others do not", async () => {
  const dump: Run = async () => ({
    stdout: [
      'Acquire "";',
      'Acquire::Check-Valid-Until "false";',
      'Acquire::GzipIndexes "true";',
      'Acquire::http::Proxy "http://proxy.test:3128";',
      'Acquire::Retries "";',
    ].join("\n"),
    stderr: "",
  });
  assert.equal(
    await aptFetchOptions(dump),
    'Acquire::Check-Valid-Until "false";\nAcquire::http::Proxy "http://proxy.test:3128";\n',
  );
});

test("only missing build packages are installed, with fresh lists when the old ones fail", async () => {
  const calls: string[] = [];
  const said: string[] = [];
  let installs = 0;
  const fake: Run = async (argv) => {
    calls.push(argv.join(" "));
    const have = BUILD_PACKAGES.filter((name) => name !== "lz4").map((n) => `${n} installed`);
    if (argv.includes("install") && ++installs === 1) throw new Error("404 Not Found");
    return { stdout: [...have, "lz4 config-files"].join("\n"), stderr: "" };
  };
  assert.deepEqual(await ensureBuildPackages(fake, (line) => said.push(line)), ["lz4"]);
  assert.match(calls[1] ?? "", /apt-get install .* lz4$/);
  assert.match(calls[2] ?? "", /^apt-get update/);
  assert.match(calls[3] ?? "", /apt-get install .* lz4$/);
  assert.deepEqual(said, ["installing lz4 (to build base images)"]);
  const all: Run = async () => ({
    stdout: BUILD_PACKAGES.map((name) => `${name} installed`).join("\n"),
    stderr: "",
  });
  assert.deepEqual(await ensureBuildPackages(all), []);
});
