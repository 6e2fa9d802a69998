// Compiles a process: `bundle` puts the author's modules and the SDK into one, `component` makes a guest of that.
//
//     node compile_javascript.mjs TOOLS bundle SOURCE SDK BUNDLE         in the folder that names of sources are relative to
//     node compile_javascript.mjs TOOLS component BUNDLE WIT OUTPUT      in a folder of its own
//     node compile_javascript.mjs TOOLS types WIT OUTPUT                 writes the types of the interface
//
// When a source is wrong it ends with exit code 1. The last line on standard error is a sentence for the author, which begins
// with the file and line, if there is one.

import childProcess from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { takePicture } from "./take_picture.mjs";

/** A sentence for the author. */
class Wrong extends Error {}

const PREFIX = "globalThis.nectarLines = ";

// --- bundle

async function bundle(source, sdk, output) {
  const { build } = (await tool("esbuild/lib/main.js")).default;
  const entry = `
    import * as author from ${JSON.stringify(path.resolve(source))};
    import { start } from "nectar/start";
    export const init = (our) => start(author, our);`;
  let built;
  try {
    built = await build({
      stdin: { contents: entry, resolveDir: process.cwd(), sourcefile: "nectar-entry.js" },
      bundle: true,
      write: false,
      outfile: output,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["import"],
      target: "firefox128",
      charset: "utf8",
      sourcemap: "external",
      sourcesContent: false,
      logLevel: "silent",
      alias: { nectar: path.join(sdk, "nectar.ts"), "nectar/start": path.join(sdk, "start.ts") },
      external: ["nectar:process/*", "wasi:cli/*"],
      plugins: [raw],
    });
  } catch (error) {
    if (!error.errors?.length) throw error;
    const { location, text } = error.errors[0];
    throw new Wrong(location ? `${location.file}:${location.line}:${location.column + 1}: ${sentence(text)}` : sentence(text));
  }
  // Above what comes of a module there is its path from here, which is another one on another machine.
  const away = `\n// ${path.relative(process.cwd(), path.resolve(sdk))}/`;
  const script = built.outputFiles.find((file) => file.path.endsWith(".js")).text.replaceAll(away, "\n// nectar/");
  const map = JSON.parse(built.outputFiles.find((file) => file.path.endsWith(".map")).text);
  const lines = authorsLines(map, path.dirname(path.resolve(output)), path.resolve(sdk));
  await writeFile(output, `${script}\n${PREFIX}${JSON.stringify(lines)};\n`);
}

/** `import text from "./page.html?raw"` is the text of a file. */
const raw = {
  name: "raw",
  setup(build) {
    build.onResolve({ filter: /\?raw$/ }, (asked) => ({
      path: path.resolve(asked.resolveDir, asked.path.slice(0, -"?raw".length)),
      namespace: "raw",
    }));
    build.onLoad({ filter: /.*/, namespace: "raw" }, async (asked) => {
      try {
        return { contents: await readFile(asked.path, "utf8"), loader: "text" };
      } catch (error) {
        return { errors: [{ text: `${path.basename(asked.path)} cannot be read: ${error.code}` }] };
      }
    });
  },
};

/** Which lines of the bundle are the author's: files, and runs [line, file, line there, number of lines]. */
function authorsLines(map, folder, sdk) {
  const files = [];
  const runs = [];
  let [source, line] = [0, 0];
  map.mappings.split(";").forEach((generated, at) => {
    let first;
    for (const segment of generated.split(",")) {
      const [, toSource, toLine] = numbers(segment);
      if (toSource === undefined) continue;
      source += toSource;
      line += toLine;
      first ??= [source, line];
    }
    if (!first) return;
    const where = path.resolve(folder, map.sources[first[0]]);
    if (where.startsWith(sdk + path.sep) && !where.startsWith(path.join(sdk, "examples") + path.sep)) return;
    const name = path.relative(process.cwd(), where);
    if (name === "nectar-entry.js") return;
    let file = files.indexOf(name);
    if (file < 0) file = files.push(name) - 1;
    const last = runs.at(-1);
    if (last && last[1] === file && last[0] + last[3] === at + 1 && last[2] + last[3] === first[1] + 1) last[3] += 1;
    else runs.push([at + 1, file, first[1] + 1, 1]);
  });
  return { files, runs };
}

/** Base64 VLQ, as source maps have it (ECMA-426). */
function numbers(segment) {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const found = [];
  let [value, shift] = [0, 0];
  for (const character of segment) {
    const digit = digits.indexOf(character);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    found.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return found;
}

// --- component

/** What the engine has that a guest does not need: outgoing HTTP goes through the node's client. */
const disableFeatures = ["http", "fetch-event"];

async function component(bundle, wit, output) {
  takePicturesHere();
  await freeSentBytes();
  const script = await readFile(bundle, "utf8");
  try {
    await writeFile(output, await made(bundle, wit));
  } catch (error) {
    const text = String(error.message);
    if (!/unknown imported function: 'nectar:/.test(text)) throw new Wrong(explain(text, script));
    // A call of the node traps without a place. One that throws has it.
    await writeFile(bundle, guarded(script));
    throw new Wrong(explain(await made(bundle, wit).then(() => text, (second) => String(second.message)), script));
  }
}

async function made(bundle, wit) {
  const { componentize } = await tool("@bytecodealliance/componentize-js/src/componentize.js");
  const witWorld = `${await readFile(wit, "utf8")}${WITH_EXIT}`;
  return (await componentize({ sourcePath: bundle, witWorld, worldName: "ending-process", disableFeatures })).component;
}

/** A process that has made a mistake ends with an exit code: the engine by itself would abort, with words of its own. */
const WITH_EXIT = `
world ending-process {
  include process;
  import wasi:cli/exit@0.2.3;
}
package wasi:cli@0.2.3 {
  interface exit {
    exit: func(status: result);
  }
}
`;

/**
 * componentize-js has a program of its own, Wizer, load the process and take a picture of the memory, with the machine's clock
 * and random bytes in it; and it works in a folder with a random name below that of the bundle, whose names get into the memory as well. Here all of
 * that is the same on every machine.
 */
function takePicturesHere() {
  Math.random = () => 0.5;
  childProcess.spawnSync = (_wizer, parameters, { env, input }) => {
    const folders = {};
    const same = (text) => text.replaceAll(process.cwd(), "/process");
    let [init, output] = ["", ""];
    for (const [at, each] of parameters.entries()) {
      const [option, value] = [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)];
      if (each === "--init-func") init = parameters[at + 1];
      else if (option === "--dir") folders[same(value)] = value;
      else if (option === "--mapdir") folders[value.split("::")[0]] = value.split("::")[1];
      else if (option === "-o") output = value;
    }
    const { module, failed } = takePicture(readFileSync(parameters.at(-1)), init, folders, env, same(input));
    if (module) writeFileSync(output, module);
    return module ? { status: 0 } : { status: 1, stderr: failed };
  };
  syncBuiltinESMExports();
}

/**
 * What componentize-js writes around a process copies each body, text and list that it passes to the node into memory of
 * the guest, and frees nothing of it: so a process ends after it has sent some 400 MiB. It has `$dealloc`, though. Each
 * call of the node frees what was copied for it once it has returned.
 */
async function freeSentBytes() {
  const { splicer } = await tool("@bytecodealliance/componentize-js/lib/spidermonkey-embedding-splicer.js");
  const splice = splicer.spliceBindings;
  splicer.spliceBindings = (...parameters) => {
    const spliced = splice(...parameters);
    return { ...spliced, jsBindings: freeing(spliced.jsBindings) };
  };
}

const BINDINGS = /^let \[(\$memory, \$realloc, \$dealloc(?:, \$import_[\w$]+)*)\] = \$bindings;$/m;

function freeing(script) {
  const found = BINDINGS.exec(script);
  if (!found) throw new Error("componentize-js names what it imports in another way");
  const functions = found[1].split(", ").slice(3);
  return script.replace(BINDINGS, (line) => `${line}
let $copied = [];
const $allocate = $realloc;
$realloc = (...parameters) => {
  const place = $allocate(...parameters);
  $copied.push(place);
  return place;
};
const $freeing = (call) => (...parameters) => {
  const copied = $copied;
  $copied = [];
  try {
    return call(...parameters);
  } finally {
    for (const place of copied) $dealloc(place);
  }
};
${functions.map((name) => `${name} = $freeing(${name});`).join("\n")}`);
}

const NO_NODE = "while a program is loaded there is no node to call: do it in init or in a handler";

/** The same lines, with a node whose every function throws; what promises make of that is thrown in the end. */
function guarded(script) {
  const thrown = `throw (globalThis.nectarThrown ??= new Error(${JSON.stringify(NO_NODE)}));`;
  const node = `new Proxy({}, { get: () => () => { ${thrown} } })`;
  return `${script}\nif (globalThis.nectarThrown) throw globalThis.nectarThrown;\n`
    .replace(/^import \* as (\w+) from "nectar:.*";$/gm, `const $1 = ${node};`)
    .replace(/^import \{ (.*) \} from "nectar:.*";$/gm, (_, names) => `const { ${names.replaceAll(" as ", ": ")} } = ${node};`);
}

/** What went wrong while the program was loaded, with the author's file and line. */
function explain(text, script) {
  const { files, runs } = JSON.parse(script.slice(script.lastIndexOf(PREFIX) + PREFIX.length).trim().slice(0, -1));
  let where = "";
  for (const [, found] of text.matchAll(/bundle\.js:(\d+):\d+/g)) {
    const run = runs.find(([first, , , count]) => found >= first && found < first + count);
    if (!run) continue;
    where = `${files[run[1]]}:${run[2] + Number(found) - run[0]}: `;
    break;
  }
  if (/unknown imported function/.test(text)) return `${where}while a program is loaded there is no clock and no randomness: take them in init or in a handler.`;
  const thrown = /^bundle\.js:\d+:\d+ (.*)$/m.exec(text);
  return `${where}${sentence(thrown ? thrown[1] : text.trim().split("\n").at(-1).trim())}`;
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

// --- types

async function types(wit, output) {
  // It is no part of what the package offers; its version is pinned.
  const { $init, generateTypes } = await tool("@bytecodealliance/jco-transpile/vendor/js-component-bindgen-component.js");
  await $init;
  const world = { tag: "source", val: await readFile(wit, "utf8") };
  const [[, made]] = generateTypes("process", { wit: world, world: "process", guest: true, tlaCompat: false });
  await writeFile(output, made);
}

const [tools, command, ...parameters] = process.argv.slice(2);

/** A module of an installed package. */
function tool(file) {
  return import(pathToFileURL(path.join(tools, "node_modules", file)));
}

try {
  await { bundle, component, types }[command](...parameters);
} catch (error) {
  if (!(error instanceof Wrong)) console.error(error);
  process.stderr.write(`${error instanceof Wrong ? error.message : `The compiler itself has failed: ${error.message.split("\n")[0]}`}\n`);
  process.exitCode = 1;
}
