#!/usr/bin/env node
// The same weights in Fathom and in llama.cpp, in turn; medians and their ratios.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `usage: node bench/compare/compare.mjs [flags]

  --synthetic NAME     model made in memory, as fathom bench takes it (v3-mini)
  --model DIR          a checkpoint in its place
  --weights LIST       int8, int4 or both (int8,int4)
  --prompt LIST        numbers of prompt tokens, read into an empty cache (512)
  --decode N           tokens to generate (32)
  --depth LIST         tokens in the cache before those, beside none
  --threads N          of each engine (all cores)
  --repeat N           runs of each, in turn; medians count (3)
  --fathom PATH        the binary (build/bin/fathom)
  --llama-bench PATH   ik_llama.cpp's llama-bench, to run too
  --llama-name NAME    what to call it (ik_llama.cpp)
  --llama-flags=TEXT   further flags for it
  --json FILE          where to write all runs; plot.py draws them

Needs: npm install in bench/compare, and a built Fathom.`;

const root = fileURLToPath(new URL("../../", import.meta.url));
const WARM_UP = 32;  // prompt tokens read first and not counted: the peers' benchmarks do so too
const GGUF_TYPE = { int8: "q8_0", int4: "q4_0" };  // of about as many bits a weight

function readNumber(name, value) {
  if (!/^\d+$/.test(value)) throw new Error(`--${name}: expected a number, got ${value}`);
  return Number(value);
}

const readNumbers = (name, value) => value.split(",").map((part) => readNumber(name, part));

function readFlags() {
  const text = (value) => ({ type: "string", default: value });
  const { values } = parseArgs({ options: {
    help: { type: "boolean", default: false },
    synthetic: text("v3-mini"), model: text(""), weights: text("int8,int4"),
    prompt: text("512"), decode: text("32"), depth: text("0"), repeat: text("3"),
    threads: text(String(cpus().length)), fathom: text(root + "build/bin/fathom"),
    "llama-bench": text(""), "llama-name": text("ik_llama.cpp"), "llama-flags": text(""),
    json: text("") } });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  for (const name of ["decode", "repeat", "threads"]) {
    values[name] = readNumber(name, values[name]);
  }
  values.prompts = readNumbers("prompt", values.prompt);
  values.depths = [...new Set([0, ...readNumbers("depth", values.depth)])];
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
    run(flags.fathom, ["convert", ...modelFlags(flags), "--to", "gguf",
                       "--weights", GGUF_TYPE[weights], "--out", file]);
  }
  return file;
}

// Each engine's run gives { results: [{ test, tokens, depth, tok_s }] }; Fathom's also the limits
// of the machine as it was during the run, and each result's share of what they allow.

function runFathom(flags, weights) {
  const bench = (prompts, depths) => JSON.parse(run(flags.fathom, [
    "bench", ...modelFlags(flags), "--weights", weights, "--prompt", prompts.join(),
    "--decode", flags.decode, "--depth", depths.join(), "--batch", 1, "--repeat", 1,
    "--threads", flags.threads, "--json"].map(String)));
  const { machine, results: [, ...results] } = bench([WARM_UP, ...flags.prompts], [0]);
  const deep = flags.depths.filter((depth) => depth > 0);
  if (deep.length > 0) {
    const { results: more } = bench([1], deep);  // it cannot leave prompts out
    results.push(...more.filter(({ test }) => test === "decode"));
  }
  return { machine, results };
}

function runLlama(flags, weights) {
  const { prompts, decode, depths, threads } = flags;
  return { results: JSON.parse(run(process.execPath, [
    root + "bench/compare/llama.mjs",
    JSON.stringify({ file: ggufFile(flags, weights), threads, prompts, decode, depths })])) };
}

// Its test "-gp DEPTH,N" reads DEPTH tokens and then times, and counts, the N that it generates.
function runLlamaBench(flags, weights) {
  const rows = JSON.parse(run(flags["llama-bench"], [
    "-m", ggufFile(flags, weights), "-t", flags.threads, "-p", flags.prompts.join(), "-n", 0,
    ...flags.depths.flatMap((depth) => ["-gp", `${depth},${flags.decode}`]),
    "-r", 1, "-o", "json", ...flags["llama-flags"].split(" ").filter(Boolean)].map(String)));
  return { results: rows.map(({ n_prompt, n_gen, avg_ts }) => n_gen > 0
    ? { test: "decode", tokens: n_gen, depth: n_prompt, tok_s: avg_ts }
    : { test: "prefill", tokens: n_prompt, depth: 0, tok_s: avg_ts }) };
}

// Where files lie on this machine is no reader's business.
const withoutFolders = (flag) => (flag.startsWith("/") ? basename(flag) : flag);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

// One result of the same measurement in several runs.
function combined(engine, weights, { test, tokens, depth }, runs) {
  const same = runs.map(({ results }) => results.find((result) =>
    result.test === test && result.tokens === tokens && result.depth === depth));
  const speeds = same.map(({ tok_s }) => tok_s);
  const shares = same.map(({ roofline }) => roofline).filter(Number.isFinite);
  return { engine, weights, test, tokens, depth, tok_s: median(speeds), runs: speeds,
           ...(shares.length > 0 && { share_of_limit: median(shares) }) };
}

function measure(flags, engines, weights) {
  const runs = Object.fromEntries(Object.keys(engines).map((name) => [name, []]));
  for (let i = 0; i < flags.repeat; ++i) {
    for (const [name, engine] of Object.entries(engines)) runs[name].push(engine(flags, weights));
  }
  const results = Object.entries(runs).flatMap(([name, ofEngine]) =>
    ofEngine[0].results.map((result) => combined(name, weights, result, ofEngine)));
  return { results, machines: runs.fathom.map(({ machine }) => machine) };
}

function printResults(peers, results) {
  for (const fathom of results.filter(({ engine }) => engine === "fathom")) {
    const { weights, test, tokens, depth, tok_s, share_of_limit } = fathom;
    const what = test === "prefill" ? `prefill ${tokens}` : `decode @${depth}`;
    const share = share_of_limit === undefined ? "-" : `${(100 * share_of_limit).toFixed(0)}%`;
    const ofPeer = (name) => results.find((result) => result.engine === name &&
      result.test === test && result.tokens === tokens && result.depth === depth).tok_s;
    console.log(weights.padEnd(9) + what.padEnd(15) + tok_s.toFixed(1).padStart(12) +
      share.padStart(16) + peers.map((name) =>
        ofPeer(name).toFixed(1).padStart(name.length + 8) +
        (tok_s / ofPeer(name)).toFixed(2).padStart(8)).join(""));
  }
}

function limitsOf(machines) {
  const limit = (name) => median(machines.map((machine) => machine[name]));
  return { read_gbps: limit("read_gbps"), int8_gops: limit("int8_gops"),
           bf16_gflops: limit("bf16_gflops") };
}

function main() {
  const flags = readFlags();
  const peers = { "llama.cpp": runLlama };
  if (flags["llama-bench"]) peers[flags["llama-name"]] = runLlamaBench;
  const names = Object.keys(peers);
  console.log("weights  test           fathom tok/s  share of limit" +
    names.map((name) => `  ${name} tok/s   ratio`).join(""));
  const all = { results: [], machines: [] };
  for (const weights of flags.weights) {
    const { results, machines } = measure(flags, { fathom: runFathom, ...peers }, weights);
    printResults(names, results);
    all.results.push(...results);
    all.machines.push(...machines);
  }
  if (flags.json) {
    const record = {
      date: new Date().toISOString().slice(0, 10), processor: cpus()[0].model,
      chip: all.machines[0].chip, threads: flags.threads, limits: limitsOf(all.machines),
      model: flags.model ? basename(flags.model) : flags.synthetic,
      command: process.argv.slice(2).map(withoutFolders).join(" "), results: all.results };
    writeFileSync(flags.json, JSON.stringify(record, null, 2) + "\n");
  }
}

try {
  main();
} catch (error) {
  console.error(`compare: ${error.message}`);
  process.exitCode = 1;
}
