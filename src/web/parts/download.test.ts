import assert from "node:assert/strict";
import { test } from "node:test";
import { csvOf } from "./download.ts";

test("a table as CSV: quotes, lines, and nothing that a spreadsheet would calculate", () => {
  assert.equal(
    csvOf(
      ["who", "cost"],
      [
        ['Ada "A", Ltd', 1.5],
        ["=HYPERLINK(1)", -2],
        ["two\nlines", null],
      ],
    ),
    'who,cost\r\n"Ada ""A"", Ltd",1.5\r\n\'=HYPERLINK(1),-2\r\n"two\nlines",\r\n',
  );
  for (const first of ["+", "-", "@", "\t"])
    assert.match(csvOf([], [[`${first}1`]]), /\r\n'/, JSON.stringify(first));
});
