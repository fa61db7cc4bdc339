// opencode, a coding agent, asks the embedded model, runs the tool that it calls, and shows what it
// answers from the result.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { MODEL, Server } from "../server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const agent = `${here}node_modules/opencode-linux-x64-baseline/bin/opencode`;
const LIMIT_MS = 300_000;  // for loaded machines; it takes some seconds

let server;
let home;
before(async () => {
  server = await Server.start();
  home = await mkdtemp(join(tmpdir(), "fathom-agent-"));
});
after(async () => {
  await rm(home, { recursive: true, force: true });
  assert.equal(await server?.terminate(), 0);
});

const config = () => ({
  autoupdate: false,
  share: "disabled",
  enabled_providers: ["fathom"],
  provider: {
    fathom: {
      npm: "@ai-sdk/openai-compatible",  // part of the agent
      options: { baseURL: `${server.proxy.url}/v1`, apiKey: "unused" },
      models: { [MODEL]: { tool_call: true, temperature: true,
                           limit: { context: 2048, output: 200 } } } } },
  model: `fathom/${MODEL}`,
  small_model: `fathom/${MODEL}`,
  mcp: { get: { type: "local", command: [process.execPath, `${here}weather_server.mjs`] } },
  plugin: [`file://${here}short_prompt.mjs`],
  agent: { helper: { mode: "primary", prompt: "You are helpful.", temperature: 0,
                     tools: { "*": false, get_weather: true } } } });

// The events that the agent prints.
async function run(...words) {
  const folders = Object.fromEntries(
    ["CONFIG", "DATA", "CACHE", "STATE"].map((kind) => [`XDG_${kind}_HOME`, join(home, kind)]));
  const child = spawn(agent, ["run", "--format", "json", "--agent", "helper", "--title", "test",
                              ...words], {
    cwd: home, stdio: ["ignore", "pipe", "pipe"], timeout: LIMIT_MS, killSignal: "SIGKILL",
    env: { PATH: process.env.PATH, HOME: home, ...folders,
           OPENCODE_CONFIG_CONTENT: JSON.stringify(config()), OPENCODE_DISABLE_AUTOUPDATE: "1",
           OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
           OPENCODE_DISABLE_LSP_DOWNLOAD: "1" } });
  let printed = "";
  let errors = "";
  child.stdout.on("data", (data) => (printed += data));
  child.stderr.on("data", (data) => (errors += data));
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  assert.equal(code, 0, errors);
  return printed.trim().split("\n").map((line) => JSON.parse(line));
}

test("the agent calls a tool and answers from its result", async () => {
  assert.ok(existsSync(agent), "opencode is not installed for this machine: npm ci in tests/node/agent");
  const events = await run(..."What is the weather in Paris?".split(" "));
  const [call] = events.filter((event) => event.type === "tool_use");
  assert.equal(call.part.tool, "get_weather");
  assert.deepEqual(call.part.state.input, { city: "Paris" });
  assert.match(call.part.state.output, /31/);
  const answers = events.filter((event) => event.type === "text");
  assert.match(answers.at(-1).part.text, /31/);
  assert.equal(server.proxy.count("POST /v1/chat/completions 200"), 2);
});
