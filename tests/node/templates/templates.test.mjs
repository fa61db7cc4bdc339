// Our chat templates against @huggingface/jinja, on conversations generated from a seed
// (FATHOM_TEST_SEED; fixed unless set).
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Random } from "../tokenizer/random_text.mjs";
import { makeConversation, withoutTokenBars } from "./conversations.mjs";
import { FEATURES, VARIABLES } from "./features.mjs";
import { renderOurs, renderTheirs, repository, textOf } from "./renderers.mjs";

const seed = Number(process.env.FATHOM_TEST_SEED ?? 20250601);
const CONVERSATIONS = 400;
const TOKENS = { bos_token: "<｜begin▁of▁sentence｜>", eos_token: "<｜end▁of▁sentence｜>" };

const releasedFolder = path.join(repository, "tests/node/templates/released");
const tinyFolder = path.join(repository, "models/tiny");

const show = (value) => JSON.stringify(value).slice(0, 3000);

function releasedTemplates() {
  const names = readdirSync(releasedFolder).filter((name) => name.endsWith(".jinja"));
  for (const expected of ["deepseek-v3", "deepseek-r1-distill", "deepseek-v3.1"]) {
    assert.ok(names.includes(`${expected}.jinja`), `${releasedFolder}: ${expected}.jinja is missing`);
  }
  return names.map((name) => ({ name, file: path.join(releasedFolder, name) }));
}

function conversations(template, source) {
  const random = new Random(seed);
  // V3's template concatenates the arguments as they are, so they must be text.
  const options = { objectArguments: template !== "deepseek-v3.jinja" };
  return Array.from({ length: CONVERSATIONS }, () => ({
    ...makeConversation(random, options), ...TOKENS, template: source,
  }));
}

function assertSameRendering(request, ours) {
  const theirs = renderTheirs(request);
  if (theirs.error !== undefined) {
    assert.ok(ours.error !== undefined, `only @huggingface/jinja fails (${theirs.error}) on ` +
      `${show(request.messages)} (seed ${seed})`);
    assert.match(ours.error, /^chat template line \d+: /);
    return false;
  }
  assert.equal(ours.error, undefined, `only ours fails on ${show(request)} (seed ${seed})`);
  assert.equal(textOf(ours), theirs.text, `${show(request)} (seed ${seed})`);
  return true;
}

const countBars = (text) => text.split("｜").length - 1;

// All ｜ of the trusted text are the template's own: there are as many as without the client's.
function assertNoTokenFromClient(request, ours) {
  const { template, ...sent } = request;
  const harmless = renderTheirs({ template, ...withoutTokenBars(sent), ...TOKENS });
  const trusted = ours.pieces.filter(([, isTrusted]) => isTrusted).map(([text]) => text).join("");
  assert.equal(countBars(trusted), countBars(harmless.text), `trusted text of ${show(request)}`);
}

function compareOnConversations(name, source, toOurs) {
  const requests = conversations(name, source);
  const answers = renderOurs(requests.map(toOurs));
  let rendered = 0;
  requests.forEach((request, i) => {
    if (!assertSameRendering(request, answers[i])) return;
    assertNoTokenFromClient(request, answers[i]);
    ++rendered;
  });
  assert.ok(rendered >= 200, `expected 200 or more conversations rendered, got ${rendered}`);
}

test("released templates render as with @huggingface/jinja", async (context) => {
  for (const { name, file } of releasedTemplates()) {
    await context.test(name, () =>
      compareOnConversations(name, readFileSync(file, "utf8"), (request) => request));
  }
});

test("the embedded model's template renders as with @huggingface/jinja", () => {
  const config = JSON.parse(readFileSync(path.join(tinyFolder, "tokenizer_config.json"), "utf8"));
  const fromModel = ({ template, bos_token, eos_token, ...request }) =>
    ({ ...request, model_dir: tinyFolder });
  compareOnConversations("tiny", config.chat_template, fromModel);
});

test("features of Jinja render as with @huggingface/jinja", () => {
  const requests = FEATURES.map((template) =>
    ({ template, messages: [{ role: "user", content: "hi" }], variables: VARIABLES, ...TOKENS }));
  const answers = renderOurs(requests);
  requests.forEach((request, i) => {
    assert.ok(assertSameRendering(request, answers[i]), `${request.template}: both fail`);
  });
});
