/**
 * JSON without surprises. Values are spelt as Rust's serde does by default, which is what most packages use.
 *
 * - Whole numbers that a `number` cannot hold exactly are read as `bigint`, and a `bigint` is written as a number.
 * - A `Uint8Array` is written as an array of numbers.
 * - Numbers that JSON does not have (NaN, the infinities) throw TypeError; they are not silently null.
 * - Text must be UTF-8.
 */

import { NotJson } from "./errors.ts";

/** What has a spelling as JSON. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

// The parts of JSON that TypeScript does not know yet (https://github.com/tc39/proposal-json-parse-with-source).
const modern = JSON as unknown as {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): any;
};

/** Read a body. Throws NotJson. */
export function parse(body: Uint8Array | string): any {
  let text: string;
  try {
    text = typeof body === "string" ? body : decoder.decode(body);
  } catch {
    throw new NotJson("the text is not UTF-8");
  }
  try {
    // Only a run of sixteen digits can be a number beyond 2^53; to look at each value takes long.
    return /\d{16}/.test(text) ? modern.parse(text, exact) : JSON.parse(text);
  } catch {
    throw new NotJson("the text is not JSON");
  }
}

function exact(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value) || !Number.isInteger(value)) return value;
  return /^-?\d+$/.test(context.source!) ? BigInt(context.source!) : value;
}

/** Write a body. Throws TypeError for what JSON does not have. */
export function stringify(value: unknown): Uint8Array {
  return encoder.encode(text(value));
}

/** The same, as text. */
export function text(value: unknown): string {
  const written = JSON.stringify(value, plain);
  if (written === undefined) throw new TypeError(`a ${typeof value} is not a JSON value`);
  return written;
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return modern.rawJSON(value.toString());
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not a JSON value`);
  return value instanceof Uint8Array ? Array.from(value) : value;
}

/**
 * The name and the payload of a tagged union: `{"Add": 5}` is `["Add", 5]`, and `"Get"` is `["Get", undefined]`. What is
 * none has the name "".
 */
export function variant(value: unknown): [name: string, payload: any] {
  if (typeof value === "string") return [value, undefined];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return ["", undefined];
  const names = Object.keys(value);
  return names.length === 1 ? [names[0]!, (value as Record<string, unknown>)[names[0]!]] : ["", undefined];
}

/** A body as bytes: bytes are what they are, everything else is JSON. */
export function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : stringify(body);
}
