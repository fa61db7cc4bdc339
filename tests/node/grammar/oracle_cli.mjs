// Starts build/bin/grammar_oracle_cli with the real DeepSeek-V3 tokenizer and talks to it.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { askProcess } from "../oracle_process.mjs";
import { tokenizerPath } from "../tokenizer/oracle_cli.mjs";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const binary =
  process.env.GRAMMAR_ORACLE_CLI ?? path.join(repository, "build/bin/grammar_oracle_cli");

export const ask = (requests) => askProcess(binary, [tokenizerPath], requests);
