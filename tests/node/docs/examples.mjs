// The examples of docs/api.md: shell blocks, and what the block behind one says of its answer.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const page = readFileSync(new URL("../../../docs/api.md", import.meta.url), "utf8");

// { title, script, kind, expected } for each shell block.
export function examples() {
  const found = [];
  let title = "";
  const part = /^#+ (.*)$|^```(\w+)\n([\s\S]*?)^```$/gm;
  for (const [, heading, kind, text] of page.matchAll(part)) {
    if (heading) {
      title = heading;
    } else if (kind === "sh") {
      found.push({ title, script: text });
    } else {
      Object.assign(found.at(-1), { kind, expected: text });
    }
  }
  return found;
}

export async function run(script, address) {
  const { stdout } = await promisify(execFile)(
    "bash", ["-euo", "pipefail", "-c", script.replaceAll("localhost:8000", address)]);
  return stdout;
}

const pattern = (text) =>
  new RegExp(`^${text.split("…").map((s) => s.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
    .join("[\\s\\S]*")}$`);

// Fails unless `actual` has all that `expected` has.
export function assertHas(actual, expected, path = "answer") {
  if (typeof expected === "string") {
    assert.match(String(actual), pattern(expected), path);
  } else if (expected === null || typeof expected !== "object") {
    assert.equal(actual, expected, path);
  } else {
    assert.equal(Array.isArray(actual), Array.isArray(expected), path);
    if (Array.isArray(expected)) assert.equal(actual.length, expected.length, `${path}.length`);
    for (const [key, value] of Object.entries(expected)) {
      assert.ok(actual && key in actual, `${path}.${key} is missing`);
      assertHas(actual[key], value, `${path}.${key}`);
    }
  }
}

// Fails unless the lines of `expected` are among those of `actual`, in order.
export function assertHasLines(actual, expected) {
  const lines = actual.split("\n");
  for (const wanted of expected.trim().split("\n")) {
    const at = lines.findIndex((line) => pattern(`${wanted}…`).test(line));
    assert.ok(at >= 0, `no line ${wanted} in its place of\n${actual}`);
    lines.splice(0, at + 1);
  }
}
