// Many requests at a time to a server, and ajv's opinion of the answers.
import addFormats from "ajv-formats";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";

const AT_A_TIME = 16;

export function validator({ schema, draft }) {
  const ajv = new (draft === 7 ? Ajv : Ajv2020)({ strict: false, validateFormats: true });
  addFormats(ajv);
  return ajv.compile(schema);
}

export async function eachOf(items, body) {
  const answers = new Array(items.length);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) answers[i] = await body(items[i], i);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return answers;
}

async function post(server, body) {
  const response = await fetch(server.url + "/v1/chat/completions", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (response.status !== 200) {
    throw new Error(`${response.status}: ${await response.text()} to ${JSON.stringify(body).slice(0, 500)}`);
  }
  return response;
}

// -> {finish, content, reasoning, calls: [{name, arguments}]}
export async function whole(server, body) {
  const { choices: [choice] } = await (await post(server, body)).json();
  return {
    finish: choice.finish_reason,
    content: choice.message.content ?? "",
    reasoning: choice.message.reasoning_content ?? "",
    calls: (choice.message.tool_calls ?? []).map((call) => call.function),
  };
}

// The same from a stream.
export async function streamed(server, body) {
  const text = await (await post(server, { ...body, stream: true })).text();
  const answer = { finish: null, content: "", reasoning: "", calls: [] };
  for (const line of text.split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const { choices: [choice], error } = JSON.parse(line.slice(6));
    if (error) throw new Error(JSON.stringify(error));
    answer.finish ??= choice.finish_reason;
    answer.content += choice.delta.content ?? "";
    answer.reasoning += choice.delta.reasoning_content ?? "";
    for (const { index, function: part } of choice.delta.tool_calls ?? []) {
      if (part.name) answer.calls[index] = { name: part.name, arguments: "" };
      answer.calls[index].arguments += part.arguments;
    }
  }
  return answer;
}
