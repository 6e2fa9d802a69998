/**
 * The node's log, as the `console`: error, warn and log are always shown, info at verbosity 1, debug at 2, trace at 3. So
 * are errors that nobody catches, with the author's files and lines.
 */

import { printToTerminal } from "nectar:process/standard@0.7.0";
import { isError } from "./errors.ts";

const levels = { error: 0, warn: 0, log: 0, info: 1, debug: 2, trace: 3 } as const;

/** Print a line: 0 is always shown, 3 only to those who look for everything. */
export function print(verbosity: 0 | 1 | 2 | 3, ...values: unknown[]): void {
  const text = values.map(describe).join(" ");
  for (const line of values.some(isError) ? text.split("\n") : [text]) printToTerminal(verbosity, line);
}

export function installConsole(): void {
  for (const [name, verbosity] of Object.entries(levels)) {
    console[name as keyof typeof levels] = (...values: unknown[]) => print(verbosity, ...values);
  }
}

/** A value as people read it. */
export function describe(value: unknown): string {
  if (typeof value === "string") return value;
  if (isError(value)) return [`${value.name}: ${value.message}`, ...placesOf(value)].join("\n  ");
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? `${value}n` : String(value);
  try {
    return JSON.stringify(value, readable) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value); // it contains itself
  }
}

function readable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}

/**
 * Where the lines of the program come from, which the toolchain appends to it: files, and runs of lines [first line
 * here, its file, its line there, number of lines].
 */
interface Lines {
  files: string[];
  runs: [number, number, number, number][];
}

function placesOf(error: Error): string[] {
  const lines = (globalThis as { nectarLines?: Lines }).nectarLines;
  const places = [];
  // "name@file:line:column", one a line.
  for (const frame of (error.stack ?? "").split("\n")) {
    const found = /^(?:async\*)?(.*?)@.*?([^/]*):(\d+):\d+$/.exec(frame);
    if (!found) continue;
    const [, name, , line] = found;
    const place = lines && author(lines, Number(line));
    if (place) places.push(`at ${name ? `${name} ` : ""}(${place})`);
  }
  return places;
}

/** The file and line in it that a line of the program comes from; undefined: it is not the author's. */
function author(lines: Lines, line: number): string | undefined {
  for (const [first, file, theirs, count] of lines.runs) {
    if (line >= first && line < first + count) return `${lines.files[file]}:${theirs + line - first}`;
  }
  return undefined;
}
