// What a template may say.

import assert from "node:assert/strict";
import { test } from "node:test";
import { templateDefinitionSchema } from "./templates.ts";

const parse = (fields: object) => templateDefinitionSchema.safeParse({ name: "web", ...fields });

test("a name is enough: every default is filled in", () => {
  const result = templateDefinitionSchema.parse({ name: "web" });
  assert.deepEqual(result, {
    name: "web",
    base: "debian-12",
    packages: [],
    setup: null,
    repository: null,
    size: { cpus: 2, memoryMib: 2048, rootDiskGib: 20, homeDiskGib: 10 },
    env: {},
    ports: [],
    idle: { pauseAfterMinutes: null },
    hooks: { onResume: null, onFork: null },
  });
  assert.deepEqual(templateDefinitionSchema.parse(result), result);
});

test("a part of the size keeps the defaults of the rest", () => {
  assert.deepEqual(parse({ size: { cpus: 8 } }).data?.size, {
    cpus: 8,
    memoryMib: 2048,
    rootDiskGib: 20,
    homeDiskGib: 10,
  });
});

test("unknown fields are refused at every depth", () => {
  for (const fields of [
    { packges: [] },
    { size: { cpu: 1 } },
    { repository: { url: "https://a/b", branch: "x" } },
    { hooks: { onStart: "x" } },
    { idle: { stopAfterMinutes: 1 } },
    { ports: [{ port: 80, public: true }] },
  ])
    assert.equal(parse(fields).error?.issues[0]?.code, "unrecognized_keys", JSON.stringify(fields));
});

test("nothing that could be an option or a command gets through", () => {
  for (const url of [
    "--upload-pack=x",
    "ext::sh -c x",
    "file:///etc",
    "/etc",
    "https://-x/",
    "a b",
  ])
    assert.equal(parse({ repository: { url } }).success, false, url);
  for (const ref of ["-x", "--help", "a b", "a..b:c", ""])
    assert.equal(parse({ repository: { url: "https://a/b", ref } }).success, false, ref);
  for (const path of ["/etc", "../x", "a/../../x", ".."])
    assert.equal(parse({ repository: { url: "https://a/b", path } }).success, false, path);
  for (const name of ["-y", "a;b", "A", "a b", "--reinstall", "../x"])
    assert.equal(parse({ packages: [name] }).success, false, name);
  for (const key of ["1A", "A B", "A=B", "", "A\n"])
    assert.equal(parse({ env: { [key]: "x" } }).success, false, key);
  for (const value of ["a\nb", "a\0b", "\ud800"])
    assert.equal(parse({ env: { A: value } }).success, false, value);
  for (const name of ["Web", "-web", "web-", "web_1", "", "a".repeat(41), "w\n"])
    assert.equal(parse({ name }).success, false, name);
});

test("what people write is accepted", () => {
  for (const url of [
    "https://github.com/a/b.git",
    "ssh://git@example.org:22/a/b",
    "git@github.com:a/b.git",
    "http://127.0.0.1:3000/a",
  ])
    assert.equal(
      parse({ repository: { url, ref: "feature/x-1", path: "src/b" } }).success,
      true,
      url,
    );
  assert.equal(
    parse({ packages: ["g++", "libssl-dev", "nodejs=18.19.0+dfsg-6~deb12u2"] }).success,
    true,
  );
});
