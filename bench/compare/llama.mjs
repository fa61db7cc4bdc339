// One measurement of llama.cpp, through node-llama-cpp, printed as one line of JSON:
//   node llama.mjs '{"file": "x.gguf", "threads": 2, "prompt": 512, "decode": 32, "depth": 0}'
// A process of its own, so that nothing is left of one run in the next.
import { getLlama } from "node-llama-cpp";

const { file, threads, prompt, decode, depth } = JSON.parse(process.argv[2]);

const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({
  contextSize: depth + Math.max(prompt, decode) + 8, batchSize: 512, threads, flashAttention: true,
  ignoreMemorySafetyChecks: true });
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
  for await (const token of sequence.evaluate(randomTokens(1), { temperature: 0 })) {
    if (++generated === count || token === undefined) break;
  }
  if (generated !== count) throw new Error(`expected ${count} tokens, got ${generated}`);
};

await read(randomTokens(32));  // the first use touches every weight
await sequence.clearHistory();
const result = {};
if (prompt > 0) {
  if (depth > 0) await read(randomTokens(depth));
  result.prefill = prompt / await seconds(() => read(randomTokens(prompt)));
  await sequence.clearHistory();
}
if (decode > 0) {
  await read(randomTokens(Math.max(depth, 1)));
  result.decode = decode / await seconds(() => generate(decode));
}
console.log(JSON.stringify(result));
process.exit(0);
