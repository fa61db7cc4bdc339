import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { MODEL, Server } from "../server.mjs";

let server;
before(async () => { server = await Server.start("--max-body", "1"); });
after(async () => { assert.equal(await server?.terminate(), 0); });

async function refused(promise, type, expected) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    for (const [key, value] of Object.entries(expected)) assert.equal(error[key], value, key);
    assert.ok(error.requestID ?? error.headers.get("x-request-id"));
    return true;
  });
}

test("wrong fields are BadRequestErrors that name the field", async () => {
  await refused(server.chat("x", { temperature: 3 }), OpenAI.BadRequestError,
                { status: 400, param: "temperature", type: "invalid_request_error" });
  await refused(server.chat([{ type: "image_url", image_url: { url: "data:," } }]),
                OpenAI.BadRequestError, { param: "messages[0].content[0].type", code: "unsupported" });
  const schema = { type: "object", properties: { a: { not: {} } } };
  const format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };
  await refused(server.chat("x", { response_format: format }), OpenAI.BadRequestError,
                { param: "response_format.json_schema.schema", code: "unsupported" });
  format.json_schema.strict = false;
  const { response } = await server.chat("x", { response_format: format, max_tokens: 1 })
    .withResponse();
  assert.match(response.headers.get("x-fathom-warning"), /#\/properties\/a\/not/);
  await refused(server.chat("x", { stream: true, max_tokens: -1 }), OpenAI.BadRequestError,
                { param: "max_tokens" });
});

test("too long a prompt names both counts", async () => {
  const { data: [{ max_model_len }] } = await (await fetch(server.url + "/v1/models")).json();
  const prompt = "a b ".repeat(max_model_len);
  const tokenized = await fetch(server.url + "/tokenize", {
    method: "POST", body: JSON.stringify({ prompt }) });
  const { count } = await tokenized.json();
  await assert.rejects(server.client.completions.create({ model: MODEL, prompt }), (error) => {
    assert.equal(error.code, "context_length_exceeded");
    assert.match(error.message, new RegExp(`${max_model_len} tokens.* ${count} tokens`));
    return true;
  });
});

test("unknown models and routes are NotFoundErrors", async () => {
  await refused(server.chat("x", { model: "gpt-9" }), OpenAI.NotFoundError,
                { status: 404, code: "model_not_found", param: "model" });
  await refused(server.client.models.retrieve("gpt-9"), OpenAI.NotFoundError,
                { code: "model_not_found" });
  await refused(server.client.images.generate({ prompt: "x" }), OpenAI.NotFoundError,
                { code: "not_found" });
});

test("broken JSON, wrong methods and large bodies have the same shape", async () => {
  const ask = async (method, path, body) => {
    const answer = await fetch(server.url + path, { method, body });
    const { error } = await answer.json();
    assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
    return [answer.status, error.message];
  };
  const [status, message] = await ask("POST", "/v1/completions", '{"prompt": "x",\n}');
  assert.equal(status, 400);
  assert.match(message, /line 2, column 1/);
  assert.equal((await ask("GET", "/v1/completions"))[0], 405);
  assert.equal((await ask("DELETE", "/health"))[0], 405);
  assert.equal((await ask("POST", "/v1/completions", "x".repeat(2 << 20)))[0], 413);
});
