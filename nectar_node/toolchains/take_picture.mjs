// Runs a program until it is loaded and makes a module of its memory, as Wizer does; and the same one on every machine.
//
// Wizer gives a program the machine's clock and its random bytes, which stay in the memory. Here the time stands still and
// random bytes are no such; a process has the node's once it runs. Of WASI preview 1 there is what loading takes: files to
// read, parameters, and what the program says.

import { readFileSync, statSync } from "node:fs";
import path from "node:path";

const SECONDS = 1_577_836_800n;
/** What time it is: the first of January 2020. */
const GAP = 16;
/** As many zeros end a segment: a segment of its own costs some seven bytes. */
const SEGMENTS = 10_000;
/**
 * How many segments a picture has, some of them empty: the number is written before the code, and a node compiles programs
 * once that differ in their memory alone.
 */
const BADF = 8;
const NOENT = 44;
const NOSYS = 52;
const FOLDER = 3;
const FILE = 4;
const [MEMORY, GLOBAL, EXPORT, START, DATA, DATA_COUNT] = [5, 6, 7, 8, 11, 12];
const IS_GLOBAL = 3;
const KINDS = { i32: 0x7f };

/** The program has ended itself; what it says tells why. */
class Ended extends Error {}

/**
 * Load `program`, by calling its export `init`, and return { module } or { failed }: all that it has said, and why it ended.
 *
 * `folders`: what it finds under which name. `input`: what it reads from its standard input.
 */
export function takePicture(program, init, folders, environment, input) {
  const said = [];
  const stacks = globals(program);
  const running = new WebAssembly.Module(withExports(program, stacks));
  const wasi = preview1(() => instance.exports.memory, folders, environment, input, said);
  const instance = new WebAssembly.Instance(running, imports(running, wasi));
  try {
    instance.exports._initialize?.();
    instance.exports[init]();
  } catch (error) {
    const why = error instanceof Ended ? "" : `\n${error.message}`;
    return { failed: `${Buffer.concat(said).toString()}${why}` };
  }
  const values = stacks.map((_, at) => instance.exports[`${STACK}${at}`].value);
  return { module: picture(program, values, new Uint8Array(instance.exports.memory.buffer), [init, "_initialize"]) };
}

/** What is not there is so only when it is called: the node calls of a process are. */
function imports(module, wasi) {
  const found = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    found[from] ??= {};
    found[from][name] =
      (from === "wasi_snapshot_preview1" && wasi[name]) ||
      (() => {
        throw new Error(`unknown imported function: '${from}' '${name}'`);
      });
  }
  return found;
}

// --- WASI preview 1

function preview1(memory, folders, environment, input, said) {
  const view = () => new DataView(memory().buffer);
  const bytes = (at, length) => new Uint8Array(memory().buffer, at, length);
  const text = (at, length) => Buffer.from(bytes(at, length)).toString();
  const variables = Object.entries(environment).map(([name, value]) => Buffer.from(`${name}=${value}\0`));
  const open = [{ data: Buffer.from(input), at: 0 }, null, null];
  for (const [name, folder] of Object.entries(folders)) open.push({ name: Buffer.from(name), folder });
  let drawn = 1;

  const find = (descriptor, at, length) => {
    const folder = open[descriptor]?.folder;
    if (folder === undefined) return undefined;
    const place = path.resolve(folder, text(at, length));
    return { place, status: statSync(place, { throwIfNoEntry: false }) };
  };
  const vectors = (at, count) =>
    Array.from({ length: count }, (_, each) => bytes(view().getUint32(at + each * 8, true), view().getUint32(at + each * 8 + 4, true)));

  return {
    args_sizes_get: (count, size) => (view().setUint32(count, 0, true), view().setUint32(size, 0, true), 0),
    args_get: () => 0,
    environ_sizes_get(count, size) {
      view().setUint32(count, variables.length, true);
      view().setUint32(size, Buffer.concat(variables).length, true);
      return 0;
    },
    environ_get(pointers, at) {
      for (const [each, variable] of variables.entries()) {
        view().setUint32(pointers + each * 4, at, true);
        bytes(at, variable.length).set(variable);
        at += variable.length;
      }
      return 0;
    },
    clock_time_get: (_clock, _precision, at) => (view().setBigUint64(at, SECONDS * 1_000_000_000n, true), 0),
    random_get(at, length) {
      for (const [each] of bytes(at, length).entries()) {
        drawn = (Math.imul(drawn, 1_103_515_245) + 12_345) >>> 0;
        bytes(at + each, 1)[0] = drawn >>> 16;
      }
      return 0;
    },
    fd_prestat_get(descriptor, at) {
      const name = open[descriptor]?.name;
      if (name === undefined) return BADF;
      view().setUint32(at, 0, true);
      view().setUint32(at + 4, name.length, true);
      return 0;
    },
    fd_prestat_dir_name(descriptor, at) {
      const { name } = open[descriptor];
      bytes(at, name.length).set(name);
      return 0;
    },
    fd_fdstat_get(descriptor, at) {
      if (open[descriptor] === undefined) return BADF;
      bytes(at, 24).fill(0);
      view().setUint8(at, open[descriptor]?.folder === undefined ? FILE : FOLDER);
      bytes(at + 8, 16).fill(0xff); // it may do everything
      return 0;
    },
    path_filestat_get(descriptor, _flags, name, length, at) {
      const found = find(descriptor, name, length);
      if (found === undefined) return BADF;
      if (found.status === undefined) return NOENT;
      bytes(at, 64).fill(0);
      const isFile = found.status.isFile();
      view().setUint8(at + 16, isFile ? FILE : FOLDER);
      view().setBigUint64(at + 24, 1n, true);
      view().setBigUint64(at + 32, isFile ? BigInt(found.status.size) : 0n, true);
      return 0;
    },
    path_open(descriptor, _lookup, name, length, _how, _rights, _inherited, _flags, at) {
      const found = find(descriptor, name, length);
      if (found === undefined) return BADF;
      if (found.status === undefined) return NOENT;
      open.push(found.status.isFile() ? { data: readFileSync(found.place), at: 0 } : { folder: found.place });
      view().setUint32(at, open.length - 1, true);
      return 0;
    },
    fd_read(descriptor, at, count, read) {
      const file = open[descriptor];
      if (file?.data === undefined) return BADF;
      let total = 0;
      for (const vector of vectors(at, count)) {
        const part = file.data.subarray(file.at, file.at + vector.length);
        vector.set(part);
        file.at += part.length;
        total += part.length;
      }
      view().setUint32(read, total, true);
      return 0;
    },
    fd_seek(descriptor, offset, from, at) {
      const file = open[descriptor];
      if (file?.data === undefined) return BADF;
      file.at = Number(offset) + [0, file.at, file.data.length][from];
      view().setBigUint64(at, BigInt(file.at), true);
      return 0;
    },
    fd_write(descriptor, at, count, written) {
      if (descriptor !== 1 && descriptor !== 2) return BADF;
      const parts = vectors(at, count).map((each) => Buffer.from(each));
      if (descriptor === 2) said.push(...parts);
      view().setUint32(written, Buffer.concat(parts).length, true);
      return 0;
    },
    fd_close(descriptor) {
      open[descriptor] = undefined;
      return 0;
    },
    fd_fdstat_set_flags: () => 0,
    fd_readdir: () => NOSYS,
    path_remove_directory: () => NOSYS,
    path_unlink_file: () => NOSYS,
    proc_exit(code) {
      throw new Ended(`it ended with ${code}`);
    },
  };
}

// --- modules

const STACK = "picture of ";

/** The sections of a module: [number, content]. */
function sections(module) {
  const found = [];
  for (let at = 8; at < module.length; ) {
    const [length, start] = number(module, at + 1);
    found.push([module[at], module.subarray(start, start + length)]);
    at = start + length;
  }
  return found;
}

function joined(parts) {
  const header = Buffer.from("\0asm\x01\0\0\0", "latin1");
  return Buffer.concat([header, ...parts.flatMap(([kind, content]) => [Buffer.from([kind]), unsigned(content.length), content])]);
}

/** The types of the variables that a module has, each an i32 with a constant value. */
function globals(module) {
  const [, content] = sections(module).find(([kind]) => kind === GLOBAL) ?? [GLOBAL, Buffer.from([0])];
  let [count, at] = number(content, 0);
  const found = [];
  for (; count > 0; count -= 1) {
    if (content[at] !== KINDS.i32 || content[at + 2] !== 0x41) throw new Error("the engine has a variable of an unknown kind");
    found.push(content[at + 1]);
    at = content.indexOf(0x0b, skipped(content, at + 3)) + 1;
  }
  return found;
}

/** The module with exports of its variables, which are numbered from 0: it imports none. */
function withExports(module, variables) {
  return joined(
    sections(module).map(([kind, content]) => {
      if (kind !== EXPORT) return [kind, content];
      const [count, at] = number(content, 0);
      const more = variables.map((_, each) => {
        const name = Buffer.from(`${STACK}${each}`);
        return Buffer.concat([unsigned(name.length), name, Buffer.from([IS_GLOBAL]), unsigned(each)]);
      });
      return [kind, Buffer.concat([unsigned(count + variables.length), content.subarray(at), ...more])];
    }),
  );
}

/** The module as it is once it has been loaded. */
function picture(module, values, memory, gone) {
  const segments = filled(memory);
  const parts = [];
  for (const [kind, content] of sections(module)) {
    if (kind === START) continue;
    if (kind === MEMORY) {
      const [, rest] = number(content, 2);
      parts.push([kind, Buffer.concat([content.subarray(0, 2), unsigned(memory.length / 65536), content.subarray(rest)])]);
    } else if (kind === GLOBAL) {
      const types = globals(module);
      const each = values.map((value, at) => Buffer.concat([Buffer.from([KINDS.i32, types[at], 0x41]), signed(value), Buffer.from([0x0b])]));
      parts.push([kind, Buffer.concat([unsigned(values.length), ...each])]);
    } else if (kind === EXPORT) parts.push([kind, withoutExports(content, gone)]);
    else if (kind === DATA_COUNT) parts.push([kind, unsigned(segments.length)]);
    else if (kind === DATA) {
      const each = segments.map(([from, to]) => [Buffer.from([0, 0x41]), signed(from), Buffer.from([0x0b]), unsigned(to - from), memory.subarray(from, to)]);
      parts.push([kind, Buffer.concat([unsigned(segments.length), ...each.flat()])]);
    } else parts.push([kind, content]);
  }
  return joined(parts);
}

function withoutExports(content, gone) {
  let [count, at] = number(content, 0);
  const kept = [];
  for (; count > 0; count -= 1) {
    const [length, start] = number(content, at);
    const end = skipped(content, start + length + 1);
    if (!gone.includes(content.toString("utf8", start, start + length))) kept.push(content.subarray(at, end));
    at = end;
  }
  return Buffer.concat([unsigned(kept.length), ...kept]);
}

/** Where memory is not zero: [from, to]. */
function filled(memory, gap = GAP) {
  const words = new Uint32Array(memory.buffer);
  const found = [];
  for (let at = 0; at < words.length; at += 1) {
    if (words[at] === 0) continue;
    const from = at * 4;
    if (found.length && from - found.at(-1)[1] < gap) found.at(-1)[1] = from + 4;
    else found.push([from, from + 4]);
  }
  if (found.length > SEGMENTS) return filled(memory, gap * 4);
  while (found.length < SEGMENTS) found.push([0, 0]);
  return found;
}

// --- numbers, as LEB128

function number(data, at) {
  let [value, shift] = [0, 0];
  for (;;) {
    const byte = data[at++];
    value += (byte & 0x7f) * 2 ** shift;
    shift += 7;
    if (byte < 0x80) return [value, at];
  }
}

function skipped(data, at) {
  while (data[at] >= 0x80) at += 1;
  return at + 1;
}

function unsigned(value) {
  const parts = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) parts.push((value % 128) | 0x80);
  return Buffer.from([...parts, value]);
}

function signed(value) {
  const parts = [];
  for (; value < -0x40 || value >= 0x40; value >>= 7) parts.push((value & 0x7f) | 0x80);
  return Buffer.from([...parts, value & 0x7f]);
}
