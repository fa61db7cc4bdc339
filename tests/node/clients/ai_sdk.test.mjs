// Vercel's AI SDK with its DeepSeek provider, which checks every chunk it gets, against the
// embedded model.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createDeepSeek } from "@ai-sdk/deepseek";
import { APICallError, generateObject, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import { ALIASES, Server, WEATHER_RESULT } from "../server.mjs";

let server;
let model;
before(async () => {
  server = await Server.start(...ALIASES);
  // DeepSeek's own base URL has no /v1 either.
  model = createDeepSeek({ apiKey: "unused", baseURL: server.proxy.url });
});
after(async () => { assert.equal(await server?.terminate(), 0); });

const settings = (prompt, extra = {}) => ({
  model: model("deepseek-chat"), prompt, temperature: 0, maxRetries: 0, ...extra });

const tools = {
  get_weather: tool({
    description: "Get the weather of a city.",
    inputSchema: z.object({ city: z.string().describe("The city") }),
    execute: async ({ city }) => {
      assert.equal(city, "Paris");
      return JSON.parse(WEATHER_RESULT);
    } }) };

test("generates text", async () => {
  const chat = await server.chat("Who are you?");
  const { text, finishReason, usage } = await generateText(settings("Who are you?"));
  assert.equal(text, chat.choices[0].message.content);
  assert.equal(finishReason, "stop");
  assert.equal(usage.inputTokens, chat.usage.prompt_tokens);
  assert.equal(usage.outputTokens, chat.usage.completion_tokens);
});

test("streams a thought and its answer", async () => {
  const result = streamText(settings("What is 123 + 456?", { model: model("deepseek-reasoner") }));
  let parts = 0;
  for await (const part of result.textStream) parts += part.length > 0;
  assert.ok(parts > 1);
  assert.match(await result.text, /579/);
  assert.match(await result.reasoningText, /123\+456/);
});

for (const [name, run] of [
  ["whole", (extra) => generateText(extra)],
  ["streamed", async (extra) => {
    const result = streamText(extra);
    await result.consumeStream();
    return { text: await result.text, steps: await result.steps };
  }]]) {
  test(`calls a tool and answers from its result, ${name}`, async () => {
    const { text, steps } = await run(settings("What is the weather in Paris?", {
      tools, stopWhen: isStepCount(3) }));
    assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
    assert.equal(steps[0].toolCalls[0].toolName, "get_weather");
    assert.match(text, /31/);
  });
}

test("a strict tool that must be called has arguments of its schema", async () => {
  const inputSchema = z.object({ city: z.enum(["Paris", "Oslo"]), warm: z.boolean() });
  const beta = createDeepSeek({ apiKey: "unused", baseURL: `${server.proxy.url}/beta` });
  const { toolCalls } = await generateText(settings("Who are you?", {
    model: beta("deepseek-chat"), toolChoice: "required",
    tools: { report: tool({ description: "Report.", inputSchema, strict: true }) } }));
  assert.equal(toolCalls.length, 1);
  inputSchema.parse(toolCalls[0].input);
});

// The provider asks for json_object and says the schema in the prompt, which the embedded model was
// not trained to heed; so the schema travels beside it, as other servers take it.
test("an object of a schema", async () => {
  const schema = z.object({ city: z.enum(["Paris", "Oslo"]), warm: z.boolean() });
  server.proxy.additions = { response_format: null, structured_outputs: { json: z.toJSONSchema(schema) } };
  try {
    const { object } = await generateObject(settings("Is Paris warm?", { schema }));
    schema.parse(object);
  } finally {
    server.proxy.additions = undefined;
  }
});

test("an object of any kind", async () => {
  const any = z.record(z.string(), z.unknown());
  const { text, finishReason } = await generateText(settings("Is Paris warm?", {
    output: Output.object({ schema: any }), maxOutputTokens: 200 })).catch((error) => error);
  // The model may go on for longer than it has tokens; what is ended is an object.
  assert.match(text, /^\s*\{/);
  if (finishReason === "stop") any.parse(JSON.parse(text));
  else assert.equal(finishReason, "length");
});

test("a client that goes away frees its work", () => server.cancels(async () => {
  const controller = new AbortController();
  const result = streamText(settings("Who are you?", { abortSignal: controller.signal }));
  let aborted = false;
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") controller.abort();
    aborted ||= part.type === "abort";
  }
  assert.ok(aborted);
}));

test("errors are the client's own; what may pass is tried again", async () => {
  await assert.rejects(generateText(settings("x", { temperature: 3 })), (error) => {
    assert.ok(APICallError.isInstance(error), String(error));
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /temperature: expected a number from 0 to 2/);
    assert.equal(error.isRetryable, false);
    return true;
  });
  await assert.rejects(generateText(settings("x", { model: model("gpt-9") })),
                       (error) => error.statusCode === 404);
  server.proxy.refuseNext(1, 503, { "retry-after-ms": "1" });
  const { text } = await generateText(settings("x", { maxRetries: 1, maxOutputTokens: 1 }));
  assert.equal(typeof text, "string");
});
