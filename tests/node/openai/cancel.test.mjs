// Many clients, clients that go away, and a server that is told to stop.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ENDLESS, Server, collect } from "../server.mjs";

test("a client that goes away frees its work", () => Server.use(async (server) => {
  for await (const chunk of await server.chat("Count.", { ...ENDLESS, stream: true })) {
    if (chunk.choices[0].delta.content) break;  // closes the connection
  }
  await server.idle();

  const controller = new AbortController();
  const pending = server.client.chat.completions.create(
    { model: "tiny", messages: [{ role: "user", content: "Count." }], n: 4, ...ENDLESS },
    { signal: controller.signal });
  const rejected = assert.rejects(pending, /abort/i);
  await server.until("the answers are running",
                     async () => (await server.metric("fathom_num_requests_running")) > 0);
  controller.abort();
  await rejected;
  await server.idle();
  assert.ok((await server.metric("fathom_generation_tokens_total")) < 5 * ENDLESS.max_tokens);
}));

test("a stop string frees the work of a stream", () => Server.use(async (server) => {
  const chunks = await collect(await server.chat("Who are you?", {
    ...ENDLESS, stop: " ", stream: true }));
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  await server.idle();
  assert.ok((await server.metric("fathom_generation_tokens_total")) < ENDLESS.max_tokens);
}));

test("64 streams at once all make progress", () => Server.use(async (server) => {
  let begun = 0;
  // Goes on until all the others have begun, too: whether it ended before they did.
  const one = async (i) => {
    let tokens = 0;
    for await (const chunk of await server.chat(`What is ${i} + ${i}?`, {
      ...ENDLESS, stream: true })) {
      if (chunk.choices[0].delta.content && ++tokens === 1) ++begun;
      if (begun === 64) return false;
    }
    return true;
  };
  const ended = await Promise.all(Array.from({ length: 64 }, (_, i) => one(i)));
  assert.deepEqual(ended.filter(Boolean), [], "none had to wait for another's end");
  await server.idle();
}));

// A token takes at least 20 ms, so that the stream still runs when requests are refused.
const SLOW = ["--chip", "sim", "--kernels", "launch=200", "--speculate", "0"];

test("on SIGTERM running streams finish and new requests get 503", () => Server.use(async (server) => {
  const stream = await server.chat("Count.", { ignore_eos: true, max_tokens: 150, stream: true });
  const chunks = [];
  let exited;
  let refusal;
  for await (const chunk of stream) {
    chunks.push(chunk);
    if (chunks.length !== 3) continue;
    exited = server.terminate();
    await server.until("new requests are refused", async () => {
      refusal = await fetch(server.url + "/v1/chat/completions", {
        method: "POST", body: JSON.stringify({ messages: [{ role: "user", content: "x" }],
                                               max_tokens: 1 }) });
      const body = await refusal.json();
      if (!refusal.ok) assert.equal(typeof body.error.message, "string");
      return refusal.status === 503;
    });
  }
  assert.ok(Number(refusal.headers.get("retry-after")) > 0);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
  assert.equal(await exited, 0);
}, ...SLOW));
