// Talks to one of the oracle programs in build/bin: a line of JSON for each request and answer.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

// Starts the program with the arguments, sends it all requests and returns all answers in order. The
// process ends with the call.
export async function askProcess(binary, args, requests) {
  const child = spawn(binary, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve, reject) => {
    child.on("error", (error) =>
      reject(new Error(`cannot start ${binary}: build it first (${error})`)));
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
