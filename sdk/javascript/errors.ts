/** What can go wrong, as classes: `catch (error) { if (error instanceof Offline) … }`. */

import type { Address } from "./address.ts";

/** A request of ours has no answer. It is one of its two kinds, `Offline` and `Timeout`. */
export class Unanswered extends Error {
  constructor(
    what: string,
    /** Whom we asked. */
    readonly target: Address,
  ) {
    super(`${target} ${what}`);
    this.name = new.target.name;
  }
}

/** The other node cannot be reached. */
export class Offline extends Unanswered {
  constructor(target: Address) {
    super("is offline", target);
  }
}

/** Anything else kept the answer away: nobody knows whether the request has arrived. */
export class Timeout extends Unanswered {
  constructor(target: Address) {
    super("has not answered in time", target);
  }
}

/**
 * An answer `{"Err": reason}`. `ask` throws it when it gets one; thrown in a handler, it is the answer to the request.
 * A reason is a sentence, or any JSON value.
 */
export class Err extends Error {
  constructor(readonly reason: unknown) {
    super(typeof reason === "string" ? reason : JSON.stringify(reason));
    this.name = "Err";
  }
}

/** Bytes that are not the JSON text that they should be. */
export class NotJson extends Err {
  constructor(reason: string) {
    super(reason);
    this.name = "NotJson";
  }
}

/** A child that could not be started. */
export class SpawnError extends Error {
  constructor(readonly kind: "name-taken" | "no-file-at-path") {
    super(kind === "name-taken" ? "a process has that name already" : "the package has no such file");
    this.name = "SpawnError";
  }
}

/**
 * Whether a process expects it: it is what a handler answers with if it does not catch it. Anything else that nobody
 * catches is a mistake of the process, which ends.
 */
export function isExpected(thrown: unknown): thrown is Error {
  return thrown instanceof Err || thrown instanceof Unanswered || thrown instanceof SpawnError;
}

/** Whether it is an error; one that the bindings throw is of their realm, and no instance of our Error. */
export function isError(thrown: unknown): thrown is Error {
  return Object.prototype.toString.call(thrown) === "[object Error]";
}

/** The error that a call into the node has thrown, as what the interface says it is. */
export function payloadOf(thrown: unknown): unknown {
  if (isError(thrown) && "payload" in thrown) return thrown.payload;
  throw thrown;
}
