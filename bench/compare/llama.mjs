// Measurements of llama.cpp, through node-llama-cpp, printed as one line of JSON:
//   node llama.mjs '{"file": "x.gguf", "threads": 2, "prompts": [512], "decode": 8, "depths": [0]}'
// A process of its own, so that nothing is left of one run in the next.
import { getLlama } from "node-llama-cpp";

const { file, threads, prompts, decode, depths } = JSON.parse(process.argv[2]);

const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({
  contextSize: Math.max(...prompts, Math.max(...depths) + decode) + 8, batchSize: 512, threads,
  flashAttention: true, ignoreMemorySafetyChecks: true });
const sequence = context.getSequence();

let state = 1;
const randomTokens = (count) => Array.from({ length: count }, () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return 300 + state % 800;  // ordinary tokens in every vocabulary we compare with
});
const seconds = async (work) => {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
};
const read = (tokens) => sequence.evaluateWithoutGeneratingNewTokens(tokens);
const generate = async (count) => {
  let generated = 0;
  const options = { temperature: 0, yieldEogToken: true };  // goes on behind the end of a text
  for await (const token of sequence.evaluate(randomTokens(1), options)) {
    if (++generated === count || token === undefined) break;
  }
  if (generated !== count) throw new Error(`expected ${count} tokens, got ${generated}`);
};

await read(randomTokens(32));  // the first use touches every weight
const results = [];
for (const tokens of prompts) {
  await sequence.clearHistory();
  const spent = await seconds(() => read(randomTokens(tokens)));
  results.push({ test: "prefill", tokens, depth: 0, tok_s: tokens / spent });
}
for (const depth of depths) {
  await sequence.clearHistory();
  await read(randomTokens(Math.max(depth, 1)));
  const spent = await seconds(() => generate(decode));
  results.push({ test: "decode", tokens: decode, depth, tok_s: decode / spent });
}
console.log(JSON.stringify(results));
process.exit(0);
