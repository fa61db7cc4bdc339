// Structured output and enforced tools of the embedded model, judged by ajv: 300 schemas, streamed
// without speculation and whole with it, which must be the same text.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { MODEL, Server } from "../server.mjs";
import { eachOf, streamed, validator, whole } from "./judge.mjs";
import { randomSchema } from "./random_schemas.mjs";

const COUNT = 300;
const TOOL_COUNT = 212;
const byHand = JSON.parse(readFileSync(new URL("../grammar/schemas.json", import.meta.url), "utf8"));
const entries = byHand.slice();
for (let seed = 1; entries.length < COUNT; ++seed) {
  entries.push({ name: `random ${seed}`, schema: randomSchema(seed) });
}

const speculating = await Server.start("--speculate", "2");
const plain = await Server.start("--speculate", "0");
after(async () => {
  for (const server of [speculating, plain]) assert.equal(await server.terminate(), 0, server.log);
});

const QUESTIONS = ["What is 12+30?", "Sort: pear fig apple", "Reverse: abc", "Count to five."];
const request = (seed, extra) => ({
  model: MODEL, seed, temperature: seed % 3 === 0 ? 0 : 0.9, max_tokens: 160,
  messages: [{ role: "user", content: QUESTIONS[seed % QUESTIONS.length] }], ...extra });

// Both servers' answers to each request, which must be equal.
async function answers(requests) {
  const one = await eachOf(requests, (body) => whole(speculating, body));
  const other = await eachOf(requests, (body) => streamed(plain, body));
  one.forEach((answer, i) => assert.deepEqual(other[i], answer, JSON.stringify(requests[i])));
  return one;
}

function share(list, predicate, least) {
  const count = list.filter(predicate).length;
  assert.ok(count >= least * list.length, `expected ${least} of ${list.length}, got ${count}`);
}

test("every finished answer is valid by its schema", async () => {
  const results = await answers(entries.map(({ schema }, seed) => request(seed, {
    thinking: { type: seed % 5 === 0 ? "enabled" : "disabled", budget_tokens: seed % 10 },
    stop: seed % 4 === 0 ? ["}", ",", "1"] : undefined,
    response_format: { type: "json_schema", json_schema: { name: "x", strict: seed % 2 === 0, schema } },
  })));
  results.forEach(({ finish, content }, i) => {
    if (finish !== "stop") return assert.equal(finish, "length");
    const validate = validator(entries[i]);
    assert.ok(validate(JSON.parse(content)),
      `${entries[i].name}: ${content}: ${JSON.stringify(validate.errors)}`);
  });
  share(results, ({ finish }) => finish === "stop", 0.5);
});

test("json_object, regex, grammar and choice", async () => {
  const kinds = [
    [{ response_format: { type: "json_object" } }, (text) => typeof JSON.parse(text) === "object"],
    [{ structured_outputs: { regex: "[a-c]{3}-\\d+!" } }, (text) => /^[a-c]{3}-\d+!$/.test(text)],
    [{ structured_outputs: { grammar: 'root ::= "(" root? ")" | [x-z]' } },
     (text) => /^\(*[x-z]?\)*$/.test(text)],
    [{ structured_outputs: { choice: ["red", "green", "réd"] } },
     (text) => ["red", "green", "réd"].includes(text)],
  ];
  const all = Array.from({ length: 32 }, (_, seed) => [seed, ...kinds[seed % kinds.length]]);
  const results = await answers(all.map(([seed, extra]) => request(seed, extra)));
  results.forEach(({ finish, content }, i) => {
    if (finish === "stop") assert.ok(all[i][2](content), content);
  });
  share(results, ({ finish }) => finish === "stop", 0.6);
});

// Tools stand in the prompt, which the small model has not much room for.
const isTool = ({ schema }) => schema.type === "object" && JSON.stringify(schema).length < 1500;
const toolEntries = entries.filter(isTool);
for (let seed = 1000; toolEntries.length < TOOL_COUNT; ++seed) {
  const entry = { name: `random ${seed}`, schema: randomSchema(seed) };
  if (isTool(entry)) toolEntries.push(entry);
}
const tools = (entry, strict) => [
  { type: "function", function: { name: "act", strict, parameters: entry.schema } },
  { type: "function", function: { name: "wait" } }];

function checkCalls(entry, { finish, calls, content }) {
  assert.ok(["tool_calls", "stop", "length"].includes(finish), finish);
  assert.ok(!content.includes("tool▁"), content);
  if (finish !== "tool_calls") return;
  for (const call of calls) {
    const value = JSON.parse(call.arguments);
    if (call.name === "wait") assert.deepEqual(value, {});
    else assert.equal(call.name, "act");
    const validate = validator(entry);
    assert.ok(call.name === "wait" || validate(value),
      `${entry.name}: ${call.arguments}: ${JSON.stringify(validate.errors)}`);
  }
}

test("calls that are required are valid by their tools' schemas", async () => {
  const named = { type: "function", function: { name: "act" } };
  const results = await answers(toolEntries.map((entry, seed) => request(seed, {
    tools: tools(entry, seed % 2 === 0), tool_choice: seed % 2 === 0 ? named : "required",
    parallel_tool_calls: seed % 4 === 1,
    thinking: { type: seed % 6 === 0 ? "enabled" : "disabled", budget_tokens: 5 },
  })));
  results.forEach((answer, i) => {
    checkCalls(toolEntries[i], answer);
    if (i % 2 === 0) assert.ok(answer.calls.every(({ name }) => name === "act"));
    if (i % 4 !== 1) assert.ok(answer.calls.length <= 1);
    if (answer.finish !== "length") assert.ok(answer.calls.length > 0 && answer.content === "");
  });
  share(results, ({ finish }) => finish === "tool_calls", 0.5);
});

test("a strict tool's calls are valid where the model chooses", async () => {
  const objects = toolEntries.slice(0, 48);
  const biased = { logit_bias: { 1271: 8 } }; // <｜tool▁calls▁begin｜>
  const results = await answers(objects.map((entry, seed) => request(seed, {
    tools: tools(entry, true), ...(seed % 2 === 0 ? biased : {}) })));
  results.forEach((answer, i) => checkCalls(objects[i], answer));
  share(results, ({ calls }) => calls.length > 0, 0.2);
});

test("calls in the form of V3 and R1, which the template tells", async () => {
  const template = fileURLToPath(new URL("fenced.jinja", import.meta.url));
  const server = await Server.start("--chat-template", template);
  try {
    const objects = toolEntries.slice(0, 32);
    const requests = objects.map((entry, seed) => request(seed, {
      tools: tools(entry, true), tool_choice: "required", temperature: 0.9 }));
    const results = await eachOf(requests, (body) => whole(server, body));
    assert.deepEqual(await eachOf(requests, (body) => streamed(server, body)), results);
    results.forEach((answer, i) => checkCalls(objects[i], answer));
    share(results, ({ finish }) => finish === "tool_calls", 0.5);
    // As the model wrote it, with its marks.
    const { choices: [{ logprobs }] } = await (await fetch(server.url + "/v1/chat/completions", {
      method: "POST", body: JSON.stringify({ ...requests[0], logprobs: true }) })).json();
    const written = logprobs.content.map(({ token }) => token).join("");
    assert.match(written, /^<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>\w+\n```json\n{/);
  } finally {
    assert.equal(await server.terminate(), 0, server.log);
  }
});

test("drafts were taken, and only where asked for", async () => {
  const accepted = "fathom_spec_decode_num_accepted_tokens_total";
  assert.ok((await speculating.metric(accepted)) > 0);
  assert.equal(await plain.metric(accepted), 0);
});
