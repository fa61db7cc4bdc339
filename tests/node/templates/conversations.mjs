// Conversations as clients send them, the same for the same seed: all roles and fields, odd texts,
// and some requests that no template accepts.
import { makeText } from "../tokenizer/random_text.mjs";

const WORDS = ["Hello", "你好,世界", "今天天气怎么样?", "What is 12 + 30?", "naïve café", "😀👩‍🚀",
  "مرحبا", "  leading", "trailing  ", "\n\nlines\n", "\t", "\r\n", "\u3000\u00a0", "a\\b \"q\" 'p'",
  "{{ messages }}", "{% if x %}", "{# no comment #}", "{{", "}}", "%}", "\u0000\u001f\u007f", "\u2028",
  "<think>", "</think>", "<think>\nhm</think>answer", "a</think>b</think>c", "```json\n{}\n```",
  "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜tool▁calls▁begin｜>",
  "<｜tool▁sep｜>", "<｜tool▁outputs▁end｜>", "<｜", "｜>", "<|im_start|>", "True", "None", "0", ""];

function makeContent(random) {
  if (random.chance(0.1)) return "";
  if (random.chance(0.2)) return makeText(random);
  return Array.from({ length: random.between(1, 4) }, () => random.pick(WORDS)).join(
    random.pick(["", " ", "\n"]));
}

// JSON that Python and JavaScript write the same: no whole floats, no keys that are numbers.
function makeJson(random, depth = 0) {
  const kinds = [
    () => makeContent(random),
    () => random.between(-(2 ** 31), 2 ** 31),
    () => random.pick([0.5, -1.25, 3.14159, 1e-4, 123456.789, 2 ** 53 - 1, -0.1]),
    () => random.pick([true, false, null]),
  ];
  if (depth < 4) {
    kinds.push(() => Array.from({ length: random.below(4) }, () => makeJson(random, depth + 1)));
    kinds.push(() => makeObject(random, depth + 1));
  }
  return random.pick(kinds)();
}

function makeObject(random, depth) {
  const object = {};
  for (let i = random.below(4); i > 0; --i) {
    object[random.pick(["city", "城市", "query", "a b", "items", "keys", "\"", "é", "\n", "_x", "k"]) +
      random.pick(["", "", "_2", "<｜User｜>"])] = makeJson(random, depth);
  }
  return object;
}

function makeToolCall(random, { objectArguments }) {
  const asObject = objectArguments && random.chance(0.5);
  const value = makeObject(random, 1);
  return {
    id: `call_${random.below(1000)}`,
    type: "function",
    function: {
      name: random.pick(["get_weather", "calculator", "搜索", makeContent(random)]),
      arguments: asObject ? value : random.pick([JSON.stringify(value), makeContent(random)]),
    },
  };
}

function makeAssistant(random, options) {
  const message = { role: "assistant" };
  if (random.chance(0.3)) {
    message.tool_calls = Array.from(
      { length: random.between(1, 3) }, () => makeToolCall(random, options));
    // Some clients leave the content of such a message out, or send null or a text.
    const content = random.pick([null, null, makeContent(random), undefined]);
    if (content !== undefined) message.content = content;
    return message;
  }
  message.content = makeContent(random);
  if (random.chance(0.1)) message.tool_calls = random.pick([[], null]);
  if (random.chance(0.3)) message.reasoning_content = makeContent(random);
  if (random.chance(0.1)) message.prefix = random.chance(0.5);
  return message;
}

function makeMessage(random, options) {
  const role = random.pick(["user", "user", "assistant", "assistant", "tool", "system", "other"]);
  if (role === "assistant") return makeAssistant(random, options);
  const message = { role, content: makeContent(random) };
  if (role === "tool") message.tool_call_id = "call_1";
  if (role === "user" && random.chance(0.03)) {
    if (random.chance(0.5)) message.content = null;
    else delete message.content;
  }
  return message;
}

function makeMessages(random, options) {
  if (random.chance(0.02)) return [];
  const messages = [];
  for (let i = random.pick([0, 1, 1, 2, 3]); i > 0; --i) {
    messages.push({ role: "system", content: makeContent(random) });
  }
  if (random.chance(0.5)) {
    for (let i = random.between(0, 6); i > 0; --i) messages.push(makeMessage(random, options));
  } else {
    for (let i = random.between(0, 3); i > 0; --i) {
      messages.push({ role: "user", content: makeContent(random) });
      messages.push(makeAssistant(random, options));
      while (random.chance(0.3)) messages.push({ role: "tool", content: makeContent(random) });
    }
  }
  if (random.chance(0.8)) messages.push({ role: "user", content: makeContent(random) });
  return messages;
}

function makeTools(random) {
  return Array.from({ length: random.between(1, 3) }, () => ({
    type: "function",
    function: {
      name: random.pick(["get_weather", "搜索"]),
      ...(random.chance(0.7) ? { description: makeContent(random) } : {}),
      parameters: { type: "object", properties: makeObject(random, 1), required: ["city"] },
    },
  }));
}

function makeVariables(random) {
  const variables = {};
  for (const name of ["add_generation_prompt", "thinking", "enable_thinking"]) {
    const value = random.pick([true, false, undefined]);
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}

// `objectArguments`: whether tool calls' arguments may be objects, which some templates cannot do.
export function makeConversation(random, options) {
  return {
    messages: makeMessages(random, options),
    tools: random.chance(0.3) ? makeTools(random) : null,
    variables: makeVariables(random),
  };
}

// The same with no ｜ in any of the client's strings: no special token of DeepSeek can be in them.
export function withoutTokenBars(value) {
  if (typeof value === "string") return value.replaceAll("｜", "|");
  if (Array.isArray(value)) return value.map(withoutTokenBars);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [withoutTokenBars(key), withoutTokenBars(item)]));
}
