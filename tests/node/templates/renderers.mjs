// Renders templates with our interpreter (build/bin/template_oracle_cli) and with Hugging Face's.
import { Template } from "@huggingface/jinja";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../..", import.meta.url));
const binary =
  process.env.TEMPLATE_ORACLE_CLI ?? path.join(repository, "build/bin/template_oracle_cli");

// Each request is {template or model_dir, messages, tools, variables, bos_token, eos_token}; each
// answer {pieces: [[text, trusted], ...]} or {error}.
export function renderOurs(requests) {
  const input = requests.map((request) => JSON.stringify(request) + "\n").join("");
  const { stdout, status, signal, error } =
    spawnSync(binary, { input, encoding: "utf8", maxBuffer: 2 ** 30 });
  if (error) throw new Error(`cannot start ${binary}: build template_oracle_cli (${error})`);
  const answers = stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  if (status !== 0 || answers.length !== requests.length) {
    throw new Error(`${binary}: expected ${requests.length} answers, got ${answers.length}, ` +
      `exit code ${status}, signal ${signal}`);
  }
  return answers;
}

export const textOf = (answer) => answer.pieces?.map(([text]) => text).join("");

// {text} or {error}. The request's `template` must be given.
export function renderTheirs({ template, messages, tools, variables, bos_token, eos_token }) {
  try {
    const given = { ...variables, messages, tools: tools ?? null, bos_token, eos_token };
    return { text: new Template(template).render(given) };
  } catch (error) {
    return { error: String(error) };
  }
}
