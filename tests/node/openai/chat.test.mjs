import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { MODEL, Server, collect, textOf } from "../server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(async () => { assert.equal(await server?.terminate(), 0); });

const THINKING = { thinking: { type: "enabled" } };

test("lists and finds the model", async () => {
  const list = await server.client.models.list();
  assert.deepEqual(list.data.map((model) => model.id), [MODEL]);
  assert.equal((await server.client.models.retrieve(MODEL)).object, "model");
});

test("chats", async () => {
  const answer = await server.chat("What is 123 + 456?");
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.choices[0].message.content.length > 0);
  const { usage } = answer;
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.equal(usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens, usage.prompt_tokens);
  assert.equal(usage.completion_tokens_details.reasoning_tokens, 0);
});

test("a prompt that begins like an earlier one finds it, within its tenant", async () => {
  const begin = "Please remember this well: " + "one two three four five ".repeat(20);
  const ask = (end, cache_salt) => server.chat(begin + end, { max_tokens: 8, cache_salt });
  const hits = await server.metric("fathom_prefix_cache_hits_total");
  const cold = await ask("What is 1 + 1?", "a");
  assert.equal(cold.usage.prompt_tokens_details.cached_tokens, 0);
  const { usage } = await ask("What is 2 + 2?", "a");
  assert.ok(usage.prompt_cache_hit_tokens >= 64, JSON.stringify(usage));
  assert.equal(usage.prompt_tokens_details.cached_tokens, usage.prompt_cache_hit_tokens);
  assert.equal(usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens, usage.prompt_tokens);
  assert.equal(await server.metric("fathom_prefix_cache_hits_total"),
               hits + usage.prompt_cache_hit_tokens);

  const other = await ask("What is 1 + 1?", "b");
  assert.equal(other.usage.prompt_cache_hit_tokens, 0);
  const again = await ask("What is 1 + 1?", "a");
  assert.ok(again.usage.prompt_cache_hit_tokens >= 64);
  assert.equal(again.choices[0].message.content, cold.choices[0].message.content);
});

test("a stream says the same as a whole answer", async () => {
  const whole = await server.chat("Who are you?");
  const chunks = await collect(await server.chat("Who are you?", {
    stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(textOf(chunks), whole.choices[0].message.content);
  assert.ok(chunks.length > 5, "one chunk a token or so");
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.prompt_tokens, whole.usage.prompt_tokens);
  assert.deepEqual(last.usage.completion_tokens_details, whole.usage.completion_tokens_details);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => chunk.id === last.id && chunk.usage === null));
});

test("the stream helper of the client agrees", async () => {
  const stream = server.client.chat.completions.stream({
    model: MODEL, temperature: 0, messages: [{ role: "user", content: "Who are you?" }] });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content,
               (await server.chat("Who are you?")).choices[0].message.content);
});

test("thinks first when asked to, and gives the thought apart", async () => {
  const whole = await server.chat("What is 123 + 456?", THINKING);
  const { message } = whole.choices[0];
  assert.match(message.content, /579/);
  assert.match(message.reasoning_content, /123\+456/);
  assert.doesNotMatch(message.content + message.reasoning_content, /think>/);
  const { reasoning_tokens } = whole.usage.completion_tokens_details;
  assert.ok(reasoning_tokens > 0 && reasoning_tokens < whole.usage.completion_tokens);

  const chunks = await collect(await server.chat("What is 123 + 456?", { ...THINKING, stream: true }));
  assert.equal(textOf(chunks, "reasoning_content"), message.reasoning_content);
  assert.equal(textOf(chunks), message.content);
});

test("stop strings end the answer and stay out of it", async () => {
  const text = (await server.chat("Who are you?")).choices[0].message.content;
  const stop = text.slice(7, 13);  // from within one token into another
  for (const given of [stop, ["never in it", stop]]) {
    const stopped = (await server.chat("Who are you?", { stop: given })).choices[0];
    assert.equal(stopped.message.content, text.slice(0, text.indexOf(stop)));
    assert.equal(stopped.finish_reason, "stop");
    assert.equal(stopped.stop_reason, stop);
    const chunks = await collect(await server.chat("Who are you?", { stop: given, stream: true }));
    assert.equal(textOf(chunks), stopped.message.content);
  }
});

test("max_tokens cuts", async () => {
  for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
    const answer = await server.chat("Who are you?", limit);
    assert.equal(answer.choices[0].finish_reason, "length");
    assert.equal(answer.usage.completion_tokens, 3);
  }
});

test("n answers, and a seed repeats them", async () => {
  const ask = () => server.chat("Who are you?", { n: 2, seed: 7, temperature: 2, max_tokens: 30 });
  const [first, second] = [await ask(), await ask()];
  const texts = (answer) => answer.choices.map((choice) => choice.message.content);
  assert.deepEqual(texts(first), texts(second));
  assert.notEqual(texts(first)[0], texts(first)[1]);
  assert.deepEqual(first.choices.map((choice) => choice.index), [0, 1]);
  const alone = await server.chat("Who are you?", { seed: 7, temperature: 2, max_tokens: 30 });
  assert.equal(alone.choices[0].message.content, texts(first)[0]);
});

test("logprobs fit the text and each other", async () => {
  const answer = await server.chat("Who are you?", { logprobs: true, top_logprobs: 3, max_tokens: 8 });
  const { content } = answer.choices[0].logprobs;
  assert.equal(content.length, 8);
  assert.equal(content.map((token) => token.token).join(""), answer.choices[0].message.content);
  for (const token of content) {
    assert.equal(token.top_logprobs.length, 3);
    assert.deepEqual(token.bytes, [...Buffer.from(token.token)]);
    assert.equal(token.top_logprobs[0].logprob, token.logprob, "greedy takes the likeliest");
    assert.equal(Math.fround(token.logprob), token.logprob);
    assert.ok(token.top_logprobs[1].logprob <= token.logprob && token.logprob <= 0);
  }
});

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather", description: "Get the weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string", description: "The city" } },
                  required: ["city"] } } };

test("calls a tool and answers from its result", async () => {
  const messages = [{ role: "user", content: "What is the weather in Paris?" }];
  const ask = (extra = {}) => server.client.chat.completions.create({
    model: MODEL, temperature: 0, messages, tools: [WEATHER], ...extra });
  const asked = (await ask()).choices[0];
  assert.equal(asked.finish_reason, "tool_calls");
  const [call] = asked.message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });

  const chunks = await collect(await ask({ stream: true }));
  const deltas = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
  assert.equal(deltas[0].function.name, "get_weather");
  assert.equal(deltas.map((delta) => delta.function.arguments).join(""), call.function.arguments);
  assert.ok(deltas.length > 2 && deltas.every((delta) => delta.index === 0));
  assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");

  messages.push(asked.message, {
    role: "tool", tool_call_id: call.id,
    content: JSON.stringify({ city: "Paris", temperature: 31, condition: "sunny" }) });
  const answer = (await ask()).choices[0];
  assert.equal(answer.finish_reason, "stop");
  assert.match(answer.message.content, /31/);
});

test("only allowed tools are called", async () => {
  const other = { type: "function", function: { name: "get_time", parameters: { type: "object" } } };
  const only = (mode, name) => ({ type: "allowed_tools", allowed_tools: {
    mode, tools: [{ type: "function", function: { name } }] } });
  const ask = async (tool_choice) => (await server.chat("What is the weather in Paris?", {
    tools: [WEATHER, other], tool_choice, max_tokens: 300 })).choices[0];
  const { message } = await ask(only("required", "get_time"));
  assert.ok(message.tool_calls.length > 0);
  for (const call of message.tool_calls) assert.equal(call.function.name, "get_time");
  const free = await ask(only("auto", "get_time"));
  for (const call of free.message.tool_calls ?? []) assert.equal(call.function.name, "get_time");
  const same = await ask(only("auto", "get_weather"));
  assert.equal(same.message.tool_calls[0].function.name, "get_weather");
});

test("an answer of a schema is parsed by the client, whole and streamed", async () => {
  const schema = z.object({ city: z.enum(["Paris", "Oslo"]), warm: z.boolean() });
  const request = { model: MODEL, temperature: 0, response_format: zodResponseFormat(schema, "warmth"),
                    messages: [{ role: "user", content: "Is Paris warm?" }] };
  const whole = await server.client.chat.completions.parse(request);
  schema.parse(whole.choices[0].message.parsed);
  const streamed = await server.client.chat.completions.stream(request).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, whole.choices[0].message.parsed);
});

test("tokenize counts what a chat's prompt has, detokenize goes back", async () => {
  const post = async (path, body) =>
    (await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) })).json();
  const messages = [{ role: "user", content: "What is 1 + 2? \u4f60\u597d" }];
  const { count, tokens, max_model_len } = await post("/tokenize", { model: MODEL, messages });
  const { usage } = await server.client.chat.completions.create({
    model: MODEL, messages, max_tokens: 1 });
  assert.equal(count, usage.prompt_tokens);
  assert.equal(count, tokens.length);
  assert.ok(max_model_len > count);
  assert.match((await post("/detokenize", { tokens })).prompt, /What is 1 \+ 2\? \u4f60\u597d/);
});
