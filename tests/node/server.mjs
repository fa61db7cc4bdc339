// Starts `fathom serve` with the embedded model and gives clients a way to it on which every answer
// is judged by OpenAI's published schemas.
import { spawn } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { JudgingProxy } from "./judging_proxy.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const binary = process.env.FATHOM_BIN ?? root + "build/bin/fathom";
const START_TIMEOUT_MS = 120_000;

export const MODEL = "tiny";

// On the chip that tests/e2e/discrete_suites_test.py asks for.
function onTestedChip(flags) {
  const options = process.env.FATHOM_TEST_DISCRETE;
  if (options === undefined || flags.includes("--chip")) return flags;
  if (process.env.FATHOM_TEST_STARTS) appendFileSync(process.env.FATHOM_TEST_STARTS, options + "\n");
  return [...flags, "--chip", "cpu-discrete", ...(options ? ["--kernels", options] : [])];
}

export class Server {
  static async start(...flags) {
    if (!existsSync(binary)) {
      throw new Error(`${binary} is missing; build it, or name another with FATHOM_BIN`);
    }
    const server = new Server();
    server.process = spawn(
      binary, ["serve", "--model", root + "models/tiny", "--port", "0",
               ...onTestedChip(flags)],
      { stdio: ["ignore", "pipe", "pipe"] });
    server.log = "";
    server.process.stderr.on("data", (data) => (server.log += data));
    server.exited = new Promise((resolve) => server.process.on("exit", (code) => resolve(code)));
    server.url = await server.listening();
    server.proxy = await JudgingProxy.start(server.url);
    server.client = server.clientWith({});
    return server;
  }

  // Runs `body` with a server of its own, which must end well when told to.
  static async use(body, ...flags) {
    const server = await Server.start(...flags);
    try {
      await body(server);
      const code = await server.terminate();
      if (code !== 0) throw new Error(`fathom serve ended with ${code}: ${server.log}`);
    } finally {
      server.process.kill("SIGKILL");
    }
  }

  listening() {
    return new Promise((resolve, reject) => {
      let printed = "";
      const timer = setTimeout(() => reject(new Error(`no address within 2 minutes: ${this.log}`)),
                               START_TIMEOUT_MS);
      this.process.stdout.on("data", (data) => {
        printed += data;
        const match = /listening on (http:\S+)/.exec(printed);
        if (!match) return;
        clearTimeout(timer);
        resolve(match[1]);
      });
      this.exited.then((code) => reject(new Error(`fathom serve ended with ${code}: ${this.log}`)));
    });
  }

  clientWith(options) {
    return new OpenAI({ apiKey: "unused", baseURL: this.proxy.url + "/v1", maxRetries: 0, ...options });
  }

  chat(content, extra = {}) {
    return this.client.chat.completions.create({
      model: MODEL, temperature: 0, messages: [{ role: "user", content }], ...extra });
  }

  // The value of a metric without labels of its own.
  async metric(name) {
    const page = await (await fetch(this.url + "/metrics")).text();
    const line = page.split("\n").find((text) => text.startsWith(name + "{"));
    if (line === undefined) throw new Error(`${name} is not in /metrics`);
    return Number(line.slice(line.lastIndexOf(" ")));
  }

  // Waits for a condition that other processes bring about; a minute is for loaded machines.
  async until(what, condition) {
    for (let i = 0; i < 1200; ++i) {
      if (await condition()) return;
      await sleep(50);
    }
    throw new Error(`still not so after a minute: ${what}`);
  }

  async idle() {
    await this.until("no request runs", async () =>
      (await this.metric("fathom_num_requests_running")) === 0 &&
      (await this.metric("fathom_num_requests_waiting")) === 0);
  }

  // `body` is a client that goes away from an answer which would go on: its work must end with it.
  async cancels(body) {
    const before = await this.metric("fathom_generation_tokens_total");
    this.proxy.additions = ENDLESS;
    try {
      await body();
    } finally {
      this.proxy.additions = undefined;
    }
    await this.idle();
    const tokens = (await this.metric("fathom_generation_tokens_total")) - before;
    if (tokens >= ENDLESS.max_tokens) throw new Error(`the answer went on to its end: ${tokens}`);
  }

  // The exit code, once what the server answered was judged good.
  async terminate() {
    this.process.kill("SIGTERM");
    const code = await this.exited;
    this.proxy.close();
    if (this.proxy.problems.length > 0) throw new Error(this.proxy.problems.join("\n"));
    return code;
  }
}

// An answer that goes on until it is stopped or the context is full.
export const ENDLESS = { ignore_eos: true, max_tokens: 1900 };

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const textOf = (chunks, field = "content") =>
  chunks.map((chunk) => chunk.choices[0]?.delta[field] ?? "").join("");

// What the tool get_weather gives; the embedded model answers from it.
export const WEATHER_RESULT =
  JSON.stringify({ city: "Paris", temperature: 31, condition: "sunny" });

// The names that DeepSeek's own service gives to a model with and without thinking.
export const ALIASES = ["--alias", `deepseek-chat=${MODEL},thinking=off`,
                        "--alias", `deepseek-reasoner=${MODEL},thinking=on`];
