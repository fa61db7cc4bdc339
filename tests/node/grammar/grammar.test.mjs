// Texts drawn from the grammars of schemas.json with the real DeepSeek-V3 vocabulary: every one must
// end, parse, and be valid by ajv.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import addFormats from "ajv-formats";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import { ask } from "./oracle_cli.mjs";

const DOCUMENTS = 12; // a schema
const entries = JSON.parse(readFileSync(new URL("schemas.json", import.meta.url), "utf8"));

function validator({ schema, draft }) {
  const ajv = new (draft === 7 ? Ajv : Ajv2020)({ strict: false, validateFormats: true });
  addFormats(ajv);
  return ajv.compile(schema);
}

test("documents of every schema are valid", async (t) => {
  const answers = await ask(entries.map(({ schema }, seed) => (
    { schema: JSON.stringify(schema), count: DOCUMENTS, seed })));
  for (const [index, entry] of entries.entries()) {
    await t.test(entry.name, () => {
      const { documents, error } = answers[index];
      assert.equal(error, undefined);
      assert.equal(documents.length, DOCUMENTS);
      const validate = validator(entry);
      for (const { text, complete } of documents) {
        assert.ok(complete, `expected an end, got ${text.slice(0, 300)}`);
        const valid = validate(JSON.parse(text));
        assert.ok(valid, `${text.slice(0, 300)}: ${JSON.stringify(validate.errors)}`);
      }
    });
  }
});

// A model's own ways of writing JSON must be possible.
test("compact, spaced and indented texts fit", async () => {
  const value = { name: "Ada \"L.\"\n", tags: ["x", "é😀"], nested: { n: -1.5, ok: true, none: null } };
  const schema = { type: "object", properties: {
    name: { type: "string" }, tags: { type: "array", items: { type: "string", minLength: 1 } },
    nested: { type: "object", properties: { n: { type: "number", minimum: -2 },
      ok: { type: "boolean" }, none: { type: "null" } } } } };
  const spaced = JSON.stringify(value, null, 1).replace(/\n */g, " ").replace(/([{[]) | ([}\]])/g, "$1$2");
  const texts = [JSON.stringify(value), spaced, JSON.stringify(value, null, 2),
    JSON.stringify(value, null, 4), JSON.stringify(value, null, "\t")];
  const requests = [schema, {}, { type: "object" }].map((one) => (
    { schema: JSON.stringify(one), fits: [...texts, `${texts[0]} `, texts[0].slice(1)] }));
  for (const { fits, error } of await ask(requests)) {
    assert.equal(error, undefined);
    assert.deepEqual(fits, [true, true, true, true, true, false, false]);
  }
});
