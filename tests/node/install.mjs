// Installs the pinned packages of a folder's package-lock.json if they are missing or older than
// the lock: this folder's, or one's below it that is named as an argument.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(process.argv[2] ? `${process.argv[2]}/` : ".", import.meta.url));
const modified = (name) => statSync(folder + name, { throwIfNoEntry: false })?.mtimeMs ?? 0;

// npm writes the second file at the end of an installation.
if (modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
  const { status, error } = spawnSync("npm", ["ci"], { cwd: folder, stdio: "inherit" });
  if (error) console.error(`npm ci: ${error.message}; install npm (Debian: apt install npm)`);
  process.exit(status ?? 1);
}
