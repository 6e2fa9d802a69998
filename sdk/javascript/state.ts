/** A value that survives restarts of process and node: it loads and saves itself. */

import * as wit from "nectar:process/standard@0.7.0";
import * as json from "./json.ts";
import { ours } from "./messages.ts";

/** What was saved last, as bytes. */
export function getState(): Uint8Array | undefined {
  const saved = wit.getState();
  return saved && ours(saved);
}
/** Save bytes; they are durable when this returns. */
export const setState: (bytes: Uint8Array) => void = wit.setState;
/** Forget what is saved. */
export const clearState: () => void = wit.clearState;

/** What a `State` is made of. */
export interface StateOptions<T extends object> {
  /** The version of the value's shape; 1 unless said. */
  version?: number;
  /** The value of a process that has never saved one. */
  initial: T;
  /**
   * By version: how to make the value of the next version from one of that version. A value is the JSON object that was
   * saved, without its version. What is no JSON object with a version counts as version 1, and comes as bytes.
   */
  migrations?: Record<number, (old: any) => unknown>;
}

/**
 * A typed state. It is saved as a JSON object: the value's fields, and `version`.
 *
 *     const counter = new State({ version: 2, initial: { count: 0 }, migrations: { 1: (bytes) => ({ count: bytes[0] }) } });
 *     counter.update((value) => { value.count += 1; });
 */
export class State<T extends object> {
  readonly #options: StateOptions<T>;
  readonly #version: number;
  #value: T | undefined;

  constructor(options: StateOptions<T>) {
    this.#options = options;
    this.#version = options.version ?? 1;
  }

  /** The value; what changes in it is saved by `update` or `save`. */
  get value(): T {
    return (this.#value ??= this.#load());
  }

  set value(value: T) {
    this.#value = value;
    this.save();
  }

  /** Change the value and save it. It is durable when this returns what `change` has returned. */
  update<R>(change: (value: T) => R): R {
    const result = change(this.value);
    this.save();
    return result;
  }

  save(): void {
    wit.setState(json.stringify({ version: this.#version, ...this.value }));
  }

  /** Forget the value, here and on the disk. */
  clear(): void {
    this.#value = undefined;
    wit.clearState();
  }

  #load(): T {
    const saved = getState();
    if (saved === undefined) return structuredClone(this.#options.initial);
    let [version, value] = versioned(saved);
    if (version > this.#version) throw new Error(`the state has version ${version}, and this program knows ${this.#version} at most`);
    for (; version < this.#version; version += 1) {
      const migrate = this.#options.migrations?.[version];
      if (!migrate) throw new Error(`the state has version ${version}, and this program has no migration from it`);
      value = migrate(value);
    }
    if (value instanceof Uint8Array) throw new Error("the state that was saved is not JSON with a version");
    return value as T;
  }
}

function versioned(saved: Uint8Array): [number, unknown] {
  try {
    const { version, ...value } = json.parse(saved);
    if (Number.isSafeInteger(version)) return [version, value];
  } catch {
    // It is bytes.
  }
  return [1, saved];
}
