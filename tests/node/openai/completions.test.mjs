import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MODEL, Server, collect } from "../server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(async () => { assert.equal(await server?.terminate(), 0); });

const complete = (body) =>
  server.client.completions.create({ model: MODEL, temperature: 0, ...body });

async function tokens(prompt) {
  const answer = await fetch(server.url + "/tokenize", {
    method: "POST", body: JSON.stringify({ prompt, add_special_tokens: false }) });
  return (await answer.json()).tokens;
}

test("continues text, and lists of it in order", async () => {
  const both = await complete({ prompt: ["The answer is", "I am a"], max_tokens: 6 });
  assert.deepEqual(both.choices.map((choice) => choice.index), [0, 1]);
  for (const [i, prompt] of ["The answer is", "I am a"].entries()) {
    const alone = await complete({ prompt, max_tokens: 6 });
    assert.equal(alone.choices[0].text, both.choices[i].text);
  }
});

test("takes token ids as they are", async () => {
  const ids = await tokens("The answer is");
  const answer = await complete({ prompt: ids, max_tokens: 4 });
  assert.equal(answer.usage.prompt_tokens, ids.length);
  const list = await complete({ prompt: [ids, ids.slice(0, 2)], max_tokens: 4 });
  assert.equal(list.usage.prompt_tokens, ids.length + 2);
  assert.equal(list.choices[0].text, answer.choices[0].text);
});

test("scores a prompt without generating", async () => {
  const prompt = await tokens("The answer is 42. \u4f60\u597d");
  const answer = await complete({ prompt, echo: true, logprobs: 2, max_tokens: 0 });
  const [{ text, logprobs, finish_reason }] = answer.choices;
  assert.equal(text, "The answer is 42. \u4f60\u597d");
  assert.equal(finish_reason, "length");
  assert.equal(answer.usage.completion_tokens, 0);
  for (const list of ["tokens", "token_logprobs", "top_logprobs", "text_offset"]) {
    assert.equal(logprobs[list].length, prompt.length, list);
  }
  assert.equal(logprobs.token_logprobs[0], null);
  assert.ok(logprobs.token_logprobs.slice(1).every((value) => value <= 0));
  assert.ok(logprobs.token_logprobs.slice(1).every((value) => Math.fround(value) === value));
});

test("echo and generation agree with scoring their whole", async () => {
  const prompt = await tokens("The answer is");
  const answer = await complete({ prompt, echo: true, logprobs: 0, max_tokens: 5,
                                  return_tokens_as_token_ids: true });
  const ids = answer.choices[0].logprobs.tokens.map((name) => Number(name.slice("token_id:".length)));
  assert.deepEqual(ids.slice(0, prompt.length), prompt);
  const scored = await complete({ prompt: ids, echo: true, logprobs: 0, max_tokens: 0 });
  assert.equal(scored.choices[0].text, answer.choices[0].text);
  // Prompt tokens take another path through attention than generated ones.
  scored.choices[0].logprobs.token_logprobs.forEach((value, i) => {
    if (i > 0) assert.ok(Math.abs(value - answer.choices[0].logprobs.token_logprobs[i]) < 0.05);
  });
});

test("streams", async () => {
  const whole = await complete({ prompt: "The answer is", max_tokens: 6, echo: true });
  const chunks = await collect(await complete({
    prompt: "The answer is", max_tokens: 6, echo: true, stream: true,
    stream_options: { include_usage: true } }));
  const { usage } = chunks.pop();
  assert.deepEqual(usage, whole.usage);
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), whole.choices[0].text);
  assert.equal(chunks.at(-1).choices[0].finish_reason, whole.choices[0].finish_reason);
});

test("min_tokens, stop_token_ids and logit_bias reach the engine", async () => {
  const [first] = await tokens("A");
  const biased = await complete({ prompt: "x", max_tokens: 3, ignore_eos: true,
                                  logit_bias: { [first]: 100 } });
  assert.equal(biased.choices[0].text, "AAA");
  const stopped = await complete({ prompt: "x", max_tokens: 3, logit_bias: { [first]: 100 },
                                   stop_token_ids: [first] });
  assert.equal(stopped.choices[0].text, "");
  assert.equal(stopped.choices[0].finish_reason, "stop");
});
