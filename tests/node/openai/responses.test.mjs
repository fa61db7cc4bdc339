// The openai client's Responses.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { ENDLESS, MODEL, Server, WEATHER_RESULT, collect } from "../server.mjs";

let server;
let responses;
before(async () => {
  server = await Server.start();
  responses = server.client.responses;
});
after(async () => { assert.equal(await server?.terminate(), 0); });

const ask = (input, extra = {}) =>
  responses.create({ model: MODEL, temperature: 0, input, ...extra });
const THINKING = { reasoning: { effort: "high" } };
const WEATHER = {
  type: "function", name: "get_weather", description: "Get the weather of a city.", strict: false,
  parameters: { type: "object", properties: { city: { type: "string", description: "The city" } },
                required: ["city"] } };

test("answers as chat completions do", async () => {
  const response = await ask("Who are you?");
  const chat = await server.chat("Who are you?");
  assert.equal(response.output_text, chat.choices[0].message.content);
  assert.equal(response.status, "completed");
  assert.equal(response.usage.input_tokens, chat.usage.prompt_tokens);
  assert.equal(response.usage.output_tokens, chat.usage.completion_tokens);
  const counted = await responses.inputTokens.count({ model: MODEL, input: "Who are you?" });
  assert.equal(counted.input_tokens, response.usage.input_tokens);
});

test("streams events in order that add up to the response", async () => {
  const events = await collect(await ask("What is 123 + 456?", { ...THINKING, stream: true }));
  events.forEach((event, i) => assert.equal(event.sequence_number, i));
  const { response } = events.at(-1);
  assert.equal(events.at(-1).type, "response.completed");
  const joined = (type) => events.filter((event) => event.type === type)
    .map((event) => event.delta).join("");
  const [thought, message] = response.output;
  assert.equal(thought.type, "reasoning");
  assert.match(thought.content[0].text, /123\+456/);
  assert.match(message.content[0].text, /579/);
  assert.equal(joined("response.reasoning_text.delta"), thought.content[0].text);
  assert.equal(joined("response.output_text.delta"), message.content[0].text);
  assert.ok(response.usage.output_tokens_details.reasoning_tokens > 0);
});

test("the stream helper of the client agrees", async () => {
  const whole = await ask("What is 12 + 30?", THINKING);
  const final = await responses.stream({ model: MODEL, temperature: 0, input: "What is 12 + 30?",
                                         ...THINKING }).finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.deepEqual(final.output.map((item) => item.type), whole.output.map((item) => item.type));
});

test("an answer of a schema, whole and streamed", async () => {
  const schema = { type: "object", required: ["city", "warm"], additionalProperties: false,
                   properties: { city: { type: "string", enum: ["Paris", "Oslo"] },
                                 warm: { type: "boolean" } } };
  const text = { format: { type: "json_schema", name: "answer", strict: true, schema } };
  const response = await ask("Is Paris warm?", { text });
  const { city, warm } = JSON.parse(response.output_text);
  assert.ok(["Paris", "Oslo"].includes(city) && typeof warm === "boolean", response.output_text);
  const events = await collect(await ask("Is Paris warm?", { text, stream: true }));
  assert.equal(events.at(-1).response.output[0].content[0].text, response.output_text);
});

test("calls a tool and answers from its result", async () => {
  const tools = [WEATHER];
  const input = [{ role: "user", content: "What is the weather in Paris?" }];
  const asked = await ask(input, { tools });
  const call = asked.output.find((item) => item.type === "function_call");
  assert.equal(call.name, "get_weather");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
  const output = { type: "function_call_output", call_id: call.call_id, output: WEATHER_RESULT };

  const answer = await ask([...input, ...asked.output, output], { tools });
  assert.match(answer.output_text, /31/);
  const stored = await ask([output], { tools, previous_response_id: asked.id });
  assert.equal(stored.output_text, answer.output_text);

  const events = await collect(await ask(input, { tools, stream: true }));
  const deltas = events.filter((event) => event.type === "response.function_call_arguments.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), call.arguments);
  assert.ok(deltas.length > 2);
});

test("keeps responses to go on from, and forgets them when told to", async () => {
  const first = await ask("What is 1 + 2?", { instructions: "Be kind." });
  const second = await ask("And 3 + 4?", { previous_response_id: first.id });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  assert.deepEqual((await responses.retrieve(second.id)).output, second.output);
  const items = [];
  for await (const item of responses.inputItems.list(second.id, { order: "asc", limit: 1 })) {
    items.push(item);
  }
  assert.deepEqual(items.map((item) => item.role), ["user", "assistant", "user"]);
  await assert.rejects(responses.cancel(first.id), OpenAI.BadRequestError);
  await responses.delete(first.id);
  await assert.rejects(responses.retrieve(first.id), OpenAI.NotFoundError);
  await assert.rejects(ask("x", { previous_response_id: first.id }),
                       (error) => error.param === "previous_response_id");
  const unkept = await ask("x", { store: false, max_output_tokens: 1 });
  assert.equal(unkept.status, "incomplete");
  await assert.rejects(responses.retrieve(unkept.id), OpenAI.NotFoundError);
});

test("log-probabilities when asked for", async () => {
  const { output } = await ask("Who are you?", {
    max_output_tokens: 4, top_logprobs: 2, include: ["message.output_text.logprobs"] });
  const [{ text, logprobs }] = output[0].content;
  assert.equal(logprobs.map((token) => token.token).join(""), text);
  assert.ok(logprobs.every((token) => token.top_logprobs.length === 2));
});

test("a client that goes away frees its work", async () => {
  for await (const event of await ask("Count.", { ...ENDLESS, max_tokens: undefined,
                                                  max_output_tokens: 1900, stream: true })) {
    if (event.type === "response.output_text.delta") break;  // closes the connection
  }
  await server.idle();
});

test("errors are the client's own; what may pass is tried again", async () => {
  await assert.rejects(ask("x", { temperature: 3 }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === "temperature");
  await assert.rejects(ask("x", { tool_choice: { type: "web_search_preview" } }), (error) =>
    error.param === "tool_choice.type" && error.code === "unsupported");
  await assert.rejects(ask("x", { model: "gpt-9" }), OpenAI.NotFoundError);
  server.proxy.refuseNext(2, 503, { "retry-after-ms": "1" });
  const patient = server.clientWith({ maxRetries: 2 });
  const response = await patient.responses.create({ model: MODEL, input: "x",
                                                    max_output_tokens: 1 });
  assert.equal(response.status, "incomplete");
  server.proxy.refuseNext(1, 429);
  await assert.rejects(ask("x"), OpenAI.RateLimitError);
});

test("custom tools are called with text, as a stream too, and their results go on", async () => {
  const tools = [{ type: "custom", name: "note", description: "Write a note.",
                   format: { type: "grammar", syntax: "regex", definition: "(milk|bread)" } },
                 { type: "web_search" }];
  const extra = { tools, tool_choice: { type: "custom", name: "note" } };
  const { data: response, response: raw } = await responses.create(
    { model: MODEL, temperature: 0, input: "Write a note.", ...extra }).withResponse();
  assert.match(raw.headers.get("x-fathom-warning"), /tools\[1\]: web_search is left out/);
  const call = response.output.at(-1);
  assert.equal(call.type, "custom_tool_call");
  assert.match(call.input, /^(milk|bread)$/);
  const events = await collect(await ask("Write a note.", { ...extra, stream: true }));
  assert.equal(events.filter(({ type }) => type === "response.custom_tool_call_input.delta")
    .map(({ delta }) => delta).join(""), call.input);
  const next = await ask(
    [{ type: "custom_tool_call_output", call_id: call.call_id, output: "done" }],
    { previous_response_id: response.id, tools });
  assert.equal(next.status, "completed");
});
