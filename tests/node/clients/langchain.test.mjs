// LangChain's DeepSeek chat model against the embedded model.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatDeepSeek } from "@langchain/deepseek";
import { ALIASES, Server, WEATHER_RESULT, collect } from "../server.mjs";

let server;
before(async () => { server = await Server.start(...ALIASES); });
after(async () => { assert.equal(await server?.terminate(), 0); });

const chatModel = (extra = {}) => new ChatDeepSeek({
  apiKey: "unused", model: "deepseek-chat", temperature: 0, maxRetries: 0,
  configuration: { baseURL: server.proxy.url }, ...extra });

const weather = tool(async () => WEATHER_RESULT, {
  name: "get_weather", description: "Get the weather of a city.",
  schema: { type: "object", properties: { city: { type: "string", description: "The city" } },
            required: ["city"] } });

test("answers", async () => {
  const chat = await server.chat("Who are you?");
  const answer = await chatModel().invoke("Who are you?");
  assert.equal(answer.content, chat.choices[0].message.content);
  assert.equal(answer.usage_metadata.input_tokens, chat.usage.prompt_tokens);
  assert.equal(answer.response_metadata.finish_reason, "stop");
});

test("streams a thought and its answer", async () => {
  const chunks = await collect(await chatModel({ model: "deepseek-reasoner" })
    .stream("What is 123 + 456?"));
  assert.ok(chunks.length > 5);
  const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
  assert.match(whole.content, /579/);
  assert.match(whole.additional_kwargs.reasoning_content, /123\+456/);
});

test("calls a tool and answers from its result", async () => {
  const model = chatModel().bindTools([weather]);
  const messages = [new HumanMessage("What is the weather in Paris?")];
  const asked = await model.invoke(messages);
  assert.deepEqual(asked.tool_calls.map(({ name, args }) => ({ name, args })),
                   [{ name: "get_weather", args: { city: "Paris" } }]);
  const result = await weather.invoke(asked.tool_calls[0]);
  assert.ok(result instanceof ToolMessage);
  const answer = await model.invoke([...messages, asked, result]);
  assert.match(answer.content, /31/);

  const streamed = (await collect(await model.stream(messages)))
    .reduce((sum, chunk) => sum.concat(chunk));
  assert.deepEqual(streamed.tool_calls[0].args, { city: "Paris" });
});

test("an answer of a schema", async () => {
  const schema = { title: "answer", type: "object", required: ["city", "warm"],
                   additionalProperties: false,
                   properties: { city: { enum: ["Paris", "Oslo"] }, warm: { type: "boolean" } } };
  for (const method of ["jsonSchema", "functionCalling"]) {
    const model = chatModel().withStructuredOutput(schema, { method, strict: true });
    const answer = await model.invoke("Is Paris warm?");
    assert.ok(["Paris", "Oslo"].includes(answer.city), JSON.stringify(answer));
    assert.equal(typeof answer.warm, "boolean");
  }
});

test("a client that goes away frees its work", () => server.cancels(async () => {
  const controller = new AbortController();
  await assert.rejects(async () => {
    for await (const chunk of await chatModel().stream("Who are you?",
                                                       { signal: controller.signal })) {
      if (chunk.content) controller.abort();
    }
  }, /abort/i);
}));

test("errors are the client's own; what may pass is tried again", async () => {
  await assert.rejects(chatModel({ temperature: 3 }).invoke("x"), (error) =>
    error.status === 400 && /temperature: expected a number from 0 to 2/.test(error.message));
  await assert.rejects(chatModel({ model: "gpt-9" }).invoke("x"), (error) => error.status === 404);
  server.proxy.refuseNext(1, 503, { "retry-after": "0" });
  const answer = await chatModel({ maxRetries: 1, maxTokens: 1 }).invoke("x");
  assert.equal(answer.response_metadata.finish_reason, "length");
});
