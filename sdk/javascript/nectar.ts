/**
 * Write Nectar processes in JavaScript and TypeScript.
 *
 *     import { onRequest } from "nectar";
 *
 *     onRequest(async (request) => ({ Echo: request.json() }));
 */

export { Address, ProcessId, type Target } from "./address.ts";
export { Err, NotJson, Offline, SpawnError, Timeout, Unanswered } from "./errors.ts";
export {
  Request,
  Response,
  SendError,
  dropCapabilities,
  getOnExit,
  ourCapabilities,
  receive,
  respond,
  saveCapabilities,
  send,
  sendAll,
  sendAndAwait,
  setOnExit,
  spawn,
  type Blob,
  type Capability,
  type Event,
  type Extras,
  type Incoming,
  type OnExit,
  type OnExitRequest,
  type Outgoing,
  type Spawn,
} from "./messages.ts";
export { Reply, ask, onRequest, our, request, sleep, type Ask, type Handler } from "./node.ts";
export { State, clearState, getState, setState, type StateOptions } from "./state.ts";
export { print } from "./console.ts";
export { Kv, Sqlite, type Database, type Value, type Writes } from "./databases.ts";
export { Fetched, fetch, type Fetch } from "./fetch.ts";
export * as http from "./http.ts";
export * as json from "./json.ts";
export * as vfs from "./vfs.ts";
