// Judges answers by OpenAI's published description of its API (openai-responses.json).
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const published = JSON.parse(readFileSync(new URL("openai-responses.json", import.meta.url)));

// Where the description contradicts what OpenAI documents in words and its service sends: within a
// stream of text completions finish_reason is null until the end and usage until the last chunk,
// and the first token of an echoed prompt has no log-probability.
function allowNull(object, ...names) {
  for (const name of names) object[name] = { anyOf: [object[name], { type: "null" }] };
}
const completion = published.components.schemas.CreateCompletionResponse.properties;
const choice = completion.choices.items.properties;
const logprobs = choice.logprobs.anyOf.find((schema) => schema.properties).properties;
allowNull(completion, "usage");
allowNull(choice, "finish_reason");
allowNull(logprobs.token_logprobs, "items");
allowNull(logprobs.top_logprobs, "items");

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addFormat("unixtime", { type: "number", validate: Number.isInteger });
ajv.addSchema(published, "published");

// What is wrong with a value that should be of that schema; "" if nothing is.
export function wrongWith(schema, value) {
  const validate = ajv.getSchema(`published#/components/schemas/${schema}`);
  if (validate(value)) return "";
  const errors = validate.errors.slice(0, 4).map((e) => `${e.instancePath} ${e.message}`);
  return `${schema}: ${errors.join("; ")} in ${JSON.stringify(value).slice(0, 600)}`;
}

// The schemas of whole and streamed answers to a request; null for routes OpenAI does not have.
function schemasOf(method, path) {
  const route = `${method} ${path.replace(/^(\/beta)?(\/v1)?/, "").replace(/\?.*/, "")}`;
  if (route === "POST /chat/completions") {
    return { whole: "CreateChatCompletionResponse", event: "CreateChatCompletionStreamResponse" };
  }
  if (route === "POST /completions") {
    return { whole: "CreateCompletionResponse", event: "CreateCompletionResponse" };
  }
  if (route === "POST /responses") return { whole: "Response", event: "ResponseStreamEvent" };
  if (route === "POST /responses/input_tokens") return { whole: "TokenCountsResource" };
  if (route === "GET /models") return { whole: "ListModelsResponse" };
  if (/^GET \/models\/./.test(route)) return { whole: "Model" };
  if (/^GET \/responses\/[^/]+\/input_items$/.test(route)) return { whole: "ResponseItemList" };
  if (/^GET \/responses\/[^/]+$/.test(route)) return { whole: "Response" };
  return null;
}

function eventsOf(text, complete) {
  const events = text.split("\n\n");
  const rest = events.pop();
  if (complete && rest !== "") throw new Error(`the stream ends within an event: ${rest}`);
  return events
    .map((event) => event.split("\n").filter((line) => line.startsWith("data: "))
      .map((line) => line.slice("data: ".length)).join("\n"))
    .filter((data) => data !== "");
}

function judgeStream(schema, text, complete) {
  const events = eventsOf(text, complete);
  if (schema !== "ResponseStreamEvent" && complete && events.pop() !== "[DONE]") {
    return ["the stream does not end with [DONE]"];
  }
  return events.filter((data) => data !== "[DONE]").map((data) => {
    const value = JSON.parse(data);
    return value.error && schema !== "ResponseStreamEvent" ? wrongWith("ErrorResponse", value)
                                                           : wrongWith(schema, value);
  });
}

// All that is wrong with an answer: { status, type, text, complete }. An answer that its client
// cut off (not complete) is judged by its whole events.
export function judge(method, path, answer) {
  const schemas = schemasOf(method, path);
  if (schemas === null) return [];
  try {
    if (answer.type?.startsWith("text/event-stream")) {
      return judgeStream(schemas.event, answer.text, answer.complete).filter(Boolean);
    }
    if (!answer.complete) return [];
    const schema = answer.status < 400 ? schemas.whole : "ErrorResponse";
    return [wrongWith(schema, JSON.parse(answer.text))].filter(Boolean);
  } catch (error) {
    return [error.message];
  }
}
