// OpenAI's Agents SDK against the embedded model, over Responses and over chat completions.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, tool } from "@openai/agents";
import { z } from "zod";
import { ALIASES, Server, WEATHER_RESULT } from "../server.mjs";

let server;
before(async () => { server = await Server.start(...ALIASES); });
after(async () => { assert.equal(await server?.terminate(), 0); });

const runner = new Runner({ tracingDisabled: true });
const weather = tool({
  name: "get_weather", description: "Get the weather of a city.", strict: true,
  parameters: z.object({ city: z.string().describe("The city") }),
  execute: async ({ city }) => {
    assert.equal(city, "Paris");
    return WEATHER_RESULT;
  } });

for (const Model of [OpenAIResponsesModel, OpenAIChatCompletionsModel]) {
  const agent = (extra = {}, options = {}) => new Agent({
    name: "helper", model: new Model(server.clientWith(options), "deepseek-chat"),
    modelSettings: { temperature: 0 }, ...extra });

  test(`${Model.name}: answers`, async () => {
    const chat = await server.chat("Who are you?");
    const result = await runner.run(agent(), "Who are you?");
    assert.equal(result.finalOutput, chat.choices[0].message.content);
  });

  test(`${Model.name}: calls a tool and answers from its result`, async () => {
    const result = await runner.run(agent({ tools: [weather] }), "What is the weather in Paris?");
    assert.match(result.finalOutput, /31/);
    assert.deepEqual(result.newItems.map((item) => item.type).filter((t) => t !== "reasoning_item"),
                     ["tool_call_item", "tool_call_output_item", "message_output_item"]);
  });

  test(`${Model.name}: an output of a schema`, async () => {
    const outputType = z.object({ city: z.enum(["Paris", "Oslo"]), warm: z.boolean() });
    const result = await runner.run(agent({ outputType }), "Is Paris warm?");
    outputType.parse(result.finalOutput);
  });

  test(`${Model.name}: streams`, async () => {
    const result = await runner.run(agent({ tools: [weather] }), "What is the weather in Paris?",
                                    { stream: true });
    let text = "";
    for await (const part of result.toTextStream()) text += part;
    await result.completed;
    assert.equal(text.trim(), result.finalOutput.trim());
    assert.match(text, /31/);
  });

  test(`${Model.name}: an agent that goes away frees its work`, () => server.cancels(async () => {
    const controller = new AbortController();
    const result = await runner.run(agent(), "Who are you?",
                                    { stream: true, signal: controller.signal });
    let parts = 0;
    for await (const part of result.toTextStream()) {
      if (part && ++parts === 1) controller.abort();
    }
    assert.ok(parts > 0);
  }));

  test(`${Model.name}: errors are the client's own; what may pass is tried again`, async () => {
    const wrong = agent({ modelSettings: { temperature: 3 } });
    await assert.rejects(runner.run(wrong, "x"), (error) =>
      error.status === 400 && error.param === "temperature");
    server.proxy.refuseNext(2, 503, { "retry-after-ms": "1" });
    const result = await runner.run(
      agent({ modelSettings: { maxTokens: 5, temperature: 0 } }, { maxRetries: 2 }), "x");
    assert.equal(typeof result.finalOutput, "string");
  });
}

test("a conversation goes on from a stored response", async () => {
  const agent = new Agent({
    name: "helper", model: new OpenAIResponsesModel(server.clientWith({}), "deepseek-chat") });
  const first = await runner.run(agent, "What is 1 + 2?");
  const second = await runner.run(agent, "And 3 + 4?", { previousResponseId: first.lastResponseId });
  assert.ok(second.rawResponses[0].usage.inputTokens > first.rawResponses[0].usage.inputTokens);
});
