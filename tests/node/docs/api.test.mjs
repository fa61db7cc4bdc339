// docs/api.md and /openapi.json against the server: examples give what the page says, the
// description is valid, and requests and answers are as it describes them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import { ALIASES, Server } from "../server.mjs";
import { assertHas, assertHasLines, examples, run } from "./examples.mjs";

let server;
let description;
let ajv;
before(async () => {
  server = await Server.start(...ALIASES);
  description = await (await fetch(`${server.url}/openapi.json`)).json();
  ajv = new Ajv({ strict: false });
  ajv.addSchema(description, "api");
});
after(async () => { assert.equal(await server?.terminate(), 0); });

test("the description is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(description));
  assert.ok(valid, JSON.stringify(errors));
});

// The described operation that a path belongs to, and where it lies in the document.
function operationOf(method, path) {
  for (const version of ["/v1", ""]) {
    const wanted = version + path.replace(/^(\/beta)?(\/v1)?/, "");
    for (const pattern of Object.keys(description.paths)) {
      const fits = new RegExp(`^${pattern.replace(/\{\w+\}/g, "[^/]+")}$`).test(wanted);
      if (fits && description.paths[pattern][method]) {
        return `#/paths/${encodeURIComponent(pattern.replaceAll("/", "~1"))}/${method}`;
      }
    }
  }
  throw new Error(`${method} ${path} is not described`);
}

function assertFits(pointer, value) {
  const validate = ajv.compile({ $ref: `api${pointer}` });
  assert.ok(validate(value), `${pointer}: ${ajv.errorsText(validate.errors)}`);
}

// The last request of a script is the one whose answer the page shows.
function requestOf(script) {
  const curl = script.trim().split(/^curl/m).filter((text) => !text.includes("/dev/null")).at(-1);
  const path = /localhost:8000(\S+)/.exec(curl)[1].replace(/\$\w+/, "x");
  const body = /-d '(\{[\s\S]*\})'/.exec(curl)?.[1];
  return { method: body ? "post" : "get", path, body: body && JSON.parse(body) };
}

for (const { title, script, kind, expected } of examples()) {
  const { method, path, body } = requestOf(script);
  test(`${title}: ${path}`, async () => {
    const printed = await run(script, server.proxy.url.replace("http://", ""));
    if (kind === "text") return assertHasLines(printed, expected);
    const answer = JSON.parse(printed);
    assertHas(answer, JSON.parse(expected));
    const operation = operationOf(method, path);
    const failed = "error" in answer && answer.error !== null;
    if (body && !failed) {
      assertFits(`${operation}/requestBody/content/application~1json/schema`, body);
    }
    assertFits(`${operation}/responses/${failed ? "default" : 200}/content/application~1json/schema`,
               answer);
  });
}
