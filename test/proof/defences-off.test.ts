// Tests of defences that stand in the code with no switch: each runs once more without its defence, and must see the
// attack succeed. Others switch theirs off themselves: src/gateway/preview-defences.ts, test/harness/loose-proxy.ts.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import type { Without } from "#test/harness/without.ts";

const root = join(import.meta.dirname, "../..");
const LIMIT_MS = 180_000;
const CERTIFICATES = "src/trust/ssh-user-certificates.ts";

interface Row {
  readonly attack: string;
  /** [file, what is cut, what stands there then] */
  readonly without: readonly (readonly [string, string, string])[];
  /** The file of the test, and its name. */
  readonly test: readonly [string, string];
}

const ROWS: readonly Row[] = [
  {
    attack: "an SSH certificate for another box than it names",
    without: [
      ["src/gateway/ssh-login.ts", "if (!certificate.principals.includes(boxId))", "if (false)"],
    ],
    test: ["src/gateway/ssh-door.test.ts", "certificates that do not hold are refused at login"],
  },
  {
    attack: "an SSH certificate that has expired",
    without: [[CERTIFICATES, "if (before === FOREVER || nowS >= before)", "if (false)"]],
    test: [
      "src/trust/ssh-user-certificates.test.ts",
      "a certificate of the authority says who and which box, until it ends",
    ],
  },
  {
    attack: "an SSH certificate by another authority",
    without: [
      [CERTIFICATES, "if (!signedBy.equals(authority))", "if (false)"],
      [CERTIFICATES, "verifies(ed25519Of(authority)", "verifies(ed25519Of(signedBy)"],
    ],
    test: ["src/trust/ssh-user-certificates.test.ts", "what only looks like one is refused"],
  },
  {
    attack: "an SSH certificate with critical options",
    without: [[CERTIFICATES, "if (criticalOptions.length > 0)", "if (false)"]],
    test: [
      "src/trust/ssh-user-certificates.test.ts",
      "ssh-keygen's certificates: critical options, nested and endless ones are refused",
    ],
  },
  {
    attack: "an SSH certificate of somebody else's key",
    without: [
      [
        CERTIFICATES,
        "verifies: (signed, by) => verifies(holder, signed, by)",
        "verifies: () => true",
      ],
    ],
    test: [
      "src/trust/ssh-user-certificates.test.ts",
      "only the holder of the certified key can sign for it",
    ],
  },
  {
    attack: "an older placement of a box, with the host key of then",
    without: [
      ["src/gateway/placement.ts", "return epoch > box.epoch && !known.isHeard", "return true"],
    ],
    test: [
      "src/gateway/placement.test.ts",
      "a placement that is over is entered no more, also before the next is announced, and its streams end",
    ],
  },
  {
    attack: "an older placement that speaks last",
    without: [["src/gateway/routes.ts", "epoch < entry.epoch || ", ""]],
    test: ["src/gateway/routes.test.ts", "the highest epoch wins, whoever speaks last"],
  },
  {
    attack: "a host certificate for another placement",
    without: [["src/store/assigned-box.ts", "and epoch = ", "and epoch <= "]],
    test: [
      "src/api/node-protocol.test.ts",
      "a node gets a host certificate only for a box that it has, in the epoch that it has",
    ],
  },
  {
    attack: "the label of a preview that was deleted",
    without: [["src/gateway/known.ts", '(this.#goneLabels.has(label) ? "gone" : null)', "null"]],
    test: [
      "src/gateway/preview-door.test.ts",
      "labels: gone is 410, unknown is 404, another port of the same label is 404",
    ],
  },
  {
    attack: "a WebSocket from a page of another origin",
    without: [
      [
        "src/gateway/browser-door.ts",
        "if (origin !== known.settings.dashboardOrigin)",
        "if (false)",
      ],
    ],
    test: [
      "src/gateway/browser-door.test.ts",
      "no page but the dashboard's is let in, whatever its origin looks like",
    ],
  },
  {
    attack: "a page's ticket used again",
    without: [["src/gateway/browser-door.ts", "if (!takeOnce(ticket))", "if (false)"]],
    test: ["src/gateway/browser-door.test.ts", "a ticket is taken once"],
  },
  {
    attack: "escape sequences in what the command line prints",
    without: [["src/cli/terminal.ts", "/[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]/gu", "/[]/gu"]],
    test: ["src/cli/terminal.test.ts", "text of others cannot drive the terminal"],
  },
  {
    attack: "a name to forward to that is an option, or more than a name",
    without: [
      ["src/gateway/ssh-names.ts", ".every((label) => LABEL.test(label))", ".every(Boolean)"],
    ],
    test: [
      "src/gateway/ssh-forward.test.ts",
      "nothing that a program could take for more than a name is looked up",
    ],
  },
  {
    attack: "addresses from a box that are none",
    without: [["src/gateway/ssh-names.ts", ".filter((one) => isIP(one) !== 0)", ""]],
    test: [
      "src/gateway/ssh-forward.test.ts",
      "the addresses of a name are tried in their order, and only addresses are",
    ],
  },
  {
    attack: "a box whose answer is no frame",
    without: [
      [
        "src/gateway/exec-listen.ts",
        "fail((error as Error).message); // Whoever is root in a box may say anything here.",
        "throw error;",
      ],
    ],
    test: [
      "src/gateway/ssh-forward.test.ts",
      "what a box answers to a dial or a listener ends no more than that",
    ],
  },
];

/** What the test runner says of that one test, until it has said whether it passed. */
function run(row: Row): Promise<string> {
  const [file, name] = row.test;
  const without: Without[] = row.without.map(([changed, cut, put]) => ({
    file: changed,
    cut,
    put,
  }));
  const pattern = `^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--test", "--test-reporter=tap"].concat(
      `--test-name-pattern=${pattern}`,
      file,
    ),
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined, // Else it reports to ours.
        NODE_OPTIONS: `--import=${join(root, "test/harness/without.ts")}`,
        BERTH_WITHOUT: JSON.stringify(without),
      },
    },
  );
  const end = () => {
    if (child.pid && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, "SIGKILL");
  };
  return new Promise((done) => {
    let said = "";
    const limit = setTimeout(end, LIMIT_MS);
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text) => {
        said += text;
        // A test that failed may leave something open that keeps its process.
        if (/^ {2}\.\.\.$/m.test(said)) end();
      });
    child.on("close", () => {
      clearTimeout(limit);
      done(said);
    });
  });
}

for (const row of ROWS)
  test(`without its defence: ${row.attack}`, async () => {
    const said = await run(row);
    const [, name] = row.test;
    assert.ok(said.includes(`not ok 1 - ${name}`), said);
    // It failed for what it looks for, and not because what is left makes no sense.
    assert.doesNotMatch(said, /ReferenceError|SyntaxError|TypeError|not once in/);
  });
