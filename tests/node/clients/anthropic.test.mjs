// Anthropic's client against the embedded model.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ALIASES, MODEL, Server, WEATHER_RESULT, collect } from "../server.mjs";

let server;
let client;
before(async () => {
  server = await Server.start(...ALIASES);
  client = clientWith({});
});
after(async () => { assert.equal(await server?.terminate(), 0); });

const clientWith = (options) =>
  new Anthropic({ apiKey: "unused", baseURL: server.proxy.url, maxRetries: 0, ...options });
const user = (content) => ({ role: "user", content });
const request = (content, extra = {}) => ({
  model: MODEL, max_tokens: 400, temperature: 0, messages: [user(content)], ...extra });
const ask = (content, extra) => client.messages.create(request(content, extra));

const THINKING = { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 1500 };
const WEATHER = {
  name: "get_weather", description: "Get the weather of a city.",
  input_schema: { type: "object", required: ["city"],
                  properties: { city: { type: "string", description: "The city" } } } };

test("answers as chat completions do", async () => {
  const message = await ask("Who are you?");
  const chat = await server.chat("Who are you?");
  assert.deepEqual(message.content, [{ type: "text", text: chat.choices[0].message.content }]);
  assert.equal(message.stop_reason, "end_turn");
  const { usage } = message;
  assert.equal(usage.input_tokens + usage.cache_read_input_tokens, chat.usage.prompt_tokens);
  assert.equal(usage.output_tokens, chat.usage.completion_tokens);
  const { max_tokens, temperature, ...counted } = request("Who are you?");
  assert.equal((await client.messages.countTokens(counted)).input_tokens,
               chat.usage.prompt_tokens);
});

test("thinks in blocks of their own, by request and by name", async () => {
  const message = await ask("What is 123 + 456?", THINKING);
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
  assert.match(message.content[0].thinking, /123\+456/);
  assert.match(message.content[1].text, /579/);
  const named = await ask("What is 123 + 456?", { model: "deepseek-reasoner" });
  assert.equal(named.content[0].thinking, message.content[0].thinking);
});

test("streams blocks in order that add up to the message", async () => {
  const whole = await ask("What is 12 + 30?", THINKING);
  const events = await collect(await client.messages.create(
    request("What is 12 + 30?", { ...THINKING, stream: true })));
  const kinds = events.map((event) => event.type).filter((type) => type !== "content_block_delta");
  assert.deepEqual(kinds, ["message_start", "content_block_start", "content_block_stop",
                           "content_block_start", "content_block_stop", "message_delta",
                           "message_stop"]);
  const final = await client.messages.stream(request("What is 12 + 30?", THINKING)).finalMessage();
  assert.deepEqual(final.content.map((block) => [block.type, block.thinking, block.text]),
                   whole.content.map((block) => [block.type, block.thinking, block.text]));
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(final.stop_reason, "end_turn");
});

test("an answer of a schema", async () => {
  const format = { type: "json_schema", schema: {
    type: "object", required: ["city", "warm"], additionalProperties: false,
    properties: { city: { enum: ["Paris", "Oslo"] }, warm: { type: "boolean" } } } };
  const message = await ask("Is Paris warm?", { output_config: { format } });
  assert.equal(message.stop_reason, "end_turn");
  const { city, warm, ...others } = JSON.parse(message.content[0].text);
  assert.ok(["Paris", "Oslo"].includes(city) && typeof warm === "boolean", message.content[0].text);
  assert.deepEqual(others, {});
});

test("a tool that must be called is", async () => {
  const message = await ask("Who are you?", {
    tools: [WEATHER], tool_choice: { type: "tool", name: "get_weather" } });
  assert.equal(message.stop_reason, "tool_use");
  const call = message.content.find((block) => block.type === "tool_use");
  assert.equal(typeof call.input.city, "string");
});

test("calls a tool and answers from its result", async () => {
  const tools = [WEATHER];
  const asked = await ask("What is the weather in Paris?", { tools });
  assert.equal(asked.stop_reason, "tool_use");
  const call = asked.content.find((block) => block.type === "tool_use");
  assert.equal(call.name, "get_weather");
  assert.deepEqual(call.input, { city: "Paris" });

  const stream = client.messages.stream(request("What is the weather in Paris?", { tools }));
  let parts = 0;
  stream.on("inputJson", () => ++parts);
  const streamed = (await stream.finalMessage()).content.find((block) => block.type === "tool_use");
  assert.deepEqual(streamed.input, call.input);
  assert.ok(parts > 2);

  const answer = await ask("", { tools, messages: [
    user("What is the weather in Paris?"),
    { role: "assistant", content: asked.content },
    user([{ type: "tool_result", tool_use_id: call.id, content: WEATHER_RESULT }])] });
  assert.equal(answer.stop_reason, "end_turn");
  assert.match(answer.content[0].text, /31/);
});

test("goes on with an answer that is begun", async () => {
  const { content: [{ text }] } = await ask("Who are you?");
  const begun = await ask("", { messages: [
    user("Who are you?"), { role: "assistant", content: text.slice(0, 11) }] });
  assert.equal(text.slice(0, 11) + begun.content[0].text, text);
});

test("lists the names of the model", async () => {
  const names = (await collect(client.models.list())).map((model) => model.id);
  assert.deepEqual(names, [MODEL, "deepseek-chat", "deepseek-reasoner"]);
  const found = await client.models.retrieve("deepseek-chat");
  assert.equal(found.display_name, "deepseek-chat");
  assert.ok(Date.parse(found.created_at) > 0);
});

test("a stop sequence ends the message and is named", async () => {
  const [{ text }] = (await ask("Who are you?")).content;
  const stop = text.slice(7, 13);
  const options = { stop_sequences: ["never in it", stop] };
  const streamed = await client.messages.stream(request("Who are you?", options)).finalMessage();
  for (const message of [await ask("Who are you?", options), streamed]) {
    assert.equal(message.content[0].text, text.slice(0, text.indexOf(stop)));
    assert.equal(message.stop_reason, "stop_sequence");
    assert.equal(message.stop_sequence, stop);
  }
});

test("max_tokens cuts", async () => {
  const cut = await ask("Who are you?", { max_tokens: 3 });
  assert.equal(cut.stop_reason, "max_tokens");
  assert.equal(cut.usage.output_tokens, 3);
});

test("a client that goes away frees its work", () => server.cancels(async () => {
  const stream = await client.messages.create(request("Count to 1000.", { stream: true }));
  let aborted = false;
  for await (const event of stream) {
    if (event.type !== "content_block_delta") continue;
    stream.controller.abort();
    aborted = true;
  }
  assert.ok(aborted);
}));

test("errors are the client's own; what may pass is tried again", async () => {
  const refused = (promise, type, kind, message) => assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.error.type, "error");
    assert.equal(error.error.error.type, kind);
    assert.match(error.error.error.message, message);
    assert.ok(error.requestID);
    return true;
  });
  await refused(ask("x", { temperature: 3 }), Anthropic.BadRequestError, "invalid_request_error",
                /^temperature: expected a number from 0 to 2, got 3/);
  await refused(ask("x", { tools: [{ type: "bash_20250124", name: "bash" }] }),
                Anthropic.BadRequestError, "invalid_request_error", /^tools\[0\]\.type/);
  await refused(ask("x", { model: "claude-1" }), Anthropic.NotFoundError, "not_found_error",
                /claude-1/);
  server.proxy.refuseNext(2, 529, { "retry-after-ms": "1" });
  const patient = clientWith({ maxRetries: 2 });
  const message = await patient.messages.create(request("x", { max_tokens: 1 }));
  assert.equal(message.usage.output_tokens, 1);
  server.proxy.refuseNext(1, 429);
  await assert.rejects(ask("x"), Anthropic.RateLimitError);
});

test("a stream starts and ends with the same counts of its prompt", async () => {
  const content = "Say who you are, please. ".repeat(24);  // blocks of any size
  await ask(content, { max_tokens: 2 });
  const events = await collect(await client.messages.create(
    request(content, { max_tokens: 2, stream: true })));
  const start = events[0].message.usage;
  const end = events.at(-2).usage;
  assert.ok(start.cache_read_input_tokens > 0);
  for (const name of ["input_tokens", "cache_read_input_tokens"]) {
    assert.equal(start[name], end[name]);
  }
});

test("is served under DeepSeek's path; says when a prompt is too long", async () => {
  const there = clientWith({ baseURL: `${server.proxy.url}/anthropic` });
  const message = await there.messages.create(request("Who are you?"));
  assert.match(message.content[0].text, /tiny language model/);
  await assert.rejects(ask("word ".repeat(20_000)),
                       (error) => error.status === 400 && /prompt is too long/.test(error.message));
});

test("stop sequences do not cut a thought", async () => {
  const message = await ask("What is 123 + 456?", { ...THINKING, stop_sequences: ["+", "write"] });
  assert.match(message.content[0].thinking, /123\+456/);
  assert.match(message.content[1].text, /579/);
  assert.equal(message.stop_reason, "end_turn");
});
