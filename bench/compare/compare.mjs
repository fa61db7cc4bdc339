#!/usr/bin/env node
// The same weights in Fathom and in llama.cpp, in turn; medians and their ratios.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `usage: node bench/compare/compare.mjs [flags]

  --synthetic NAME     model made in memory, as fathom bench takes it (v3-mini)
  --model DIR          a checkpoint in its place
  --weights LIST       int8, int4 or both (int8,int4)
  --prompt N           prompt tokens (512)
  --decode N           tokens to generate (32)
  --depth N            tokens in the cache before (0)
  --threads N          of each engine (all cores)
  --repeat N           runs of each, in turn; medians count (3)
  --llama-bench PATH   another engine's llama-bench to run too (as ik_llama.cpp's)
  --llama-flags TEXT   further flags for it
  --json FILE          where to write all runs

Needs: npm ci in bench/compare, and a built build/bin/fathom.`;

const root = fileURLToPath(new URL("../../", import.meta.url));
const fathom = root + "build/bin/fathom";
const GGUF_TYPE = { int8: "q8_0", int4: "q4_0" };  // of about as many bits a weight

function readFlags() {
  const text = (value) => ({ type: "string", default: value });
  const { values } = parseArgs({ options: {
    help: { type: "boolean", default: false },
    synthetic: text("v3-mini"), model: text(""), weights: text("int8,int4"),
    prompt: text("512"), decode: text("32"), depth: text("0"), repeat: text("3"),
    threads: text(String(cpus().length)), "llama-bench": text(""), "llama-flags": text(""),
    json: text("") } });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  for (const name of ["prompt", "decode", "depth", "repeat", "threads"]) {
    if (!/^\d+$/.test(values[name])) throw new Error(`--${name}: expected a number, got ${values[name]}`);
    values[name] = Number(values[name]);
  }
  values.weights = values.weights.split(",");
  for (const weights of values.weights) {
    if (!GGUF_TYPE[weights]) throw new Error(`--weights: expected int8 or int4, got ${weights}`);
  }
  return values;
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8", maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${status}\n${stderr}`);
  return stdout;
}

const modelFlags = (flags) =>
  flags.model ? ["--model", flags.model] : ["--synthetic", flags.synthetic];

// The GGUF file of these weights, made once.
function ggufFile(flags, weights) {
  const folder = root + "build/compare/";
  mkdirSync(folder, { recursive: true });
  const name = flags.model ? flags.model.replaceAll(/[^\w.-]+/g, "_") : flags.synthetic;
  const file = `${folder}${name}-${GGUF_TYPE[weights]}.gguf`;
  if (!existsSync(file)) {
    console.error(`writing ${file}`);
    run(fathom, ["convert", ...modelFlags(flags), "--to", "gguf", "--weights", GGUF_TYPE[weights],
                 "--out", file]);
  }
  return file;
}

function runFathom(flags, weights) {
  const { machine, results } = JSON.parse(run(fathom, [
    "bench", ...modelFlags(flags), "--weights", weights, "--prompt", flags.prompt,
    "--decode", flags.decode, "--depth", flags.depth, "--batch", 1, "--repeat", 1,
    "--threads", flags.threads, "--json"].map(String)));
  const of = (test) => results.find((result) => result.test === test);
  return { prefill: of("prefill").tok_s, decode: of("decode").tok_s, machine,
           rooflines: { prefill: of("prefill").roofline, decode: of("decode").roofline } };
}

function runLlama(flags, weights) {
  const { prompt, decode, depth, threads } = flags;
  return JSON.parse(run(process.execPath, [
    root + "bench/compare/llama.mjs",
    JSON.stringify({ file: ggufFile(flags, weights), threads, prompt, decode, depth })]));
}

function runLlamaBench(flags, weights) {
  const rows = JSON.parse(run(flags["llama-bench"], [
    "-m", ggufFile(flags, weights), "-t", flags.threads, "-p", flags.prompt, "-n", flags.decode,
    "-r", 1, "-o", "json", ...flags["llama-flags"].split(" ").filter(Boolean)].map(String)));
  const of = (field) => rows.find((row) => row[field] > 0).avg_ts;
  return { prefill: of("n_prompt"), decode: of("n_gen") };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function main() {
  const flags = readFlags();
  const peers = { "llama.cpp": runLlama };
  if (flags["llama-bench"]) peers["llama-bench"] = runLlamaBench;
  const engines = { fathom: runFathom, ...peers };
  const all = [];
  console.log("weights  test     fathom tok/s  share of limit" +
    Object.keys(peers).map((name) => `  ${name} tok/s   ratio`).join(""));
  for (const weights of flags.weights) {
    const runs = Object.fromEntries(Object.keys(engines).map((name) => [name, []]));
    for (let i = 0; i < flags.repeat; ++i) {
      for (const [name, engine] of Object.entries(engines)) runs[name].push(engine(flags, weights));
    }
    all.push({ weights, runs });
    for (const test of ["prefill", "decode"]) {
      const speed = (name) => median(runs[name].map((result) => result[test]));
      const share = median(runs.fathom.map((result) => result.rooflines[test]));
      console.log(weights.padEnd(9) + test.padEnd(9) + speed("fathom").toFixed(1).padStart(12) +
        `${(100 * share).toFixed(0)}%`.padStart(16) +
        Object.keys(peers).map((name) =>
          speed(name).toFixed(1).padStart(name.length + 8) +
          (speed("fathom") / speed(name)).toFixed(2).padStart(8)).join(""));
    }
  }
  if (flags.json) {
    const record = { date: new Date().toISOString().slice(0, 10), processor: cpus()[0].model,
                     command: process.argv.slice(2).join(" "), results: all };
    writeFileSync(flags.json, JSON.stringify(record, null, 2) + "\n");
  }
}

try {
  main();
} catch (error) {
  console.error(`compare: ${error.message}`);
  process.exitCode = 1;
}
