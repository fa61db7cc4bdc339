// Starts build/bin/grammar_oracle_cli with the real DeepSeek-V3 tokenizer and talks to it.
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { tokenizerPath } from "../tokenizer/oracle_cli.mjs";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const binary =
  process.env.GRAMMAR_ORACLE_CLI ?? path.join(repository, "build/bin/grammar_oracle_cli");

// Sends all requests, returns all answers in order. The process ends with the call.
export async function ask(requests) {
  const child = spawn(binary, [tokenizerPath], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve, reject) => {
    child.on("error", (error) =>
      reject(new Error(`cannot start ${binary}: build the target grammar_oracle_cli (${error})`)));
    child.on("close", resolve);
  });
  const answers = [];
  createInterface({ input: child.stdout }).on("line", (line) => answers.push(JSON.parse(line)));
  for (const request of requests) child.stdin.write(JSON.stringify(request) + "\n");
  child.stdin.end();
  const code = await ended;
  if (code !== 0 || answers.length !== requests.length) {
    throw new Error(`${binary}: expected ${requests.length} answers, got ${answers.length}` +
      ` and exit code ${code}`);
  }
  return answers;
}
