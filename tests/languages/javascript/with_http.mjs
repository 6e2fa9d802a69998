// Compiles a module with all that the engine asks servers with: node with_http.mjs TOOLS MODULE WIT OUTPUT

import { writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

const [tools, sourcePath, witPath, output] = process.argv.slice(2);
const { componentize } = await import(path.join(tools, "node_modules/@bytecodealliance/componentize-js/src/componentize.js"));
const made = await componentize({ sourcePath, witPath, worldName: "process", disableFeatures: ["fetch-event"] });
await writeFile(output, made.component);
