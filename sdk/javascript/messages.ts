/** Messages in the synchronous style: `receive` waits for the next one, `sendAndAwait` for one answer. */

import * as wit from "nectar:process/standard@0.7.0";
import { Address, ProcessId, addressOf, type Target } from "./address.ts";
import { Offline, SpawnError, Timeout, payloadOf } from "./errors.ts";
import * as json from "./json.ts";

/** Bytes that enter a process only if it asks for them. */
export interface Blob {
  mime?: string;
  bytes: Uint8Array;
}

/** The right to do what `params`, a JSON text, says. */
export interface Capability {
  issuer: Target;
  params: string;
}

/** What goes with any message beside its body. */
export interface Extras {
  /**
   * Pass on the blob of the message being handled (unless `blob` is set) and, in a request that expects no answer, the
   * right to answer: then the answer goes to whoever waits for ours.
   */
  inherit?: boolean;
  /** A JSON value for the receiver. */
  metadata?: unknown;
  capabilities?: Capability[];
  blob?: Blob;
}

/** What to send with `sendAll`. */
export interface Outgoing extends Extras {
  /** Seconds until a Timeout; missing: no answer is wanted. */
  timeout?: number;
  /** Comes back with the outcome; never leaves this node. */
  context?: Uint8Array;
}

/** How many messages have come. A blob can be had only while its message is the last one. */
let arrivals = 0;

/** What requests and responses have in common. */
export abstract class Incoming {
  /** On another node, only `source.node` is proven; the process is that node's claim. */
  readonly source: Address;
  readonly inherit: boolean;
  readonly body: Uint8Array;
  readonly #raw: wit.Request | wit.Response;
  readonly #arrival = arrivals;
  #blob: Blob | undefined | null = null;

  constructor(source: wit.Address, raw: wit.Request | wit.Response) {
    this.source = fromAddress(source);
    this.inherit = raw.inherit;
    this.body = ours(raw.body);
    this.#raw = raw;
  }

  /** The body as a JSON value. Throws NotJson. */
  json(): any {
    return json.parse(this.body);
  }

  /** The JSON value that came beside the body. */
  get metadata(): unknown {
    return this.#raw.metadata === undefined ? undefined : json.parse(this.#raw.metadata);
  }

  get capabilities(): Capability[] {
    return this.#raw.capabilities.map(fromCapability);
  }

  /**
   * The blob, copied into our memory. Ask for it before the first `await` of a handler: once another message has come,
   * it is gone, and this throws.
   */
  blob(): Blob | undefined {
    if (this.#blob === null) {
      if (this.#arrival !== arrivals) throw new Error("the blob of a message is there until the next one: ask for it before the first await");
      this.#blob = fromBlob(wit.getBlob());
    }
    return this.#blob;
  }
}

/** A request that has arrived. */
export class Request extends Incoming {
  readonly kind = "request";
  /** Seconds that the requester waits for an answer; undefined: it wants none. */
  readonly timeout: number | undefined;

  constructor(source: wit.Address, raw: wit.Request) {
    super(source, raw);
    this.timeout = raw.expectsResponse === undefined ? undefined : Number(raw.expectsResponse);
  }

  /** Whether somebody may wait for our answer. While handling a request that wants none, `respond` would answer an older one. */
  get wantsAnswer(): boolean {
    return this.timeout !== undefined || this.inherit;
  }
}

/** A response to a request of ours. */
export class Response extends Incoming {
  readonly kind = "response";

  constructor(
    source: wit.Address,
    raw: wit.Response,
    /** What the request was sent with. */
    readonly context: Uint8Array | undefined,
  ) {
    super(source, raw);
  }
}

/** A message of ours that could not be delivered, or was not answered in time. */
export class SendError {
  readonly kind = "send-error";

  constructor(
    readonly reason: "offline" | "timeout",
    /** Whether it was a request; else a response. */
    readonly ofRequest: boolean,
    readonly body: Uint8Array,
    readonly blob: Blob | undefined,
    /** What the request was sent with. */
    readonly context: Uint8Array | undefined,
  ) {}

  /** As what `ask` throws. */
  toError(target: Target): Offline | Timeout {
    return this.reason === "offline" ? new Offline(addressOf(target)) : new Timeout(addressOf(target));
  }
}

/** What has arrived. */
export type Event = Request | Response | SendError;

/** Wait for the next message. */
export function receive(): Event {
  try {
    const [source, message] = wit.receive();
    arrivals += 1;
    if (message.tag === "request") return new Request(source, message.val);
    return new Response(source, message.val[0], message.val[1] && ours(message.val[1]));
  } catch (thrown) {
    const [error, context] = payloadOf(thrown) as [wit.SendError, Uint8Array | undefined];
    return failed(error, context && ours(context));
  }
}

function failed(error: wit.SendError, context: Uint8Array | undefined): SendError {
  arrivals += 1;
  const message = error.message.tag === "request" ? error.message.val : error.message.val[0];
  return new SendError(error.kind, error.message.tag === "request", ours(message.body), fromBlob(error.lazyLoadBlob), context);
}

/** Send a request. Its outcome, if one is expected, comes with `receive`. The body is bytes, or a JSON value. */
export function send(target: Target, body: unknown, options: Outgoing = {}): void {
  wit.sendRequest(toAddress(addressOf(target)), toRequest(body, options), options.context, options.blob);
}

/** Send several requests with one call. */
export function sendAll(requests: [target: Target, body: unknown, options?: Outgoing][]): void {
  wit.sendRequests(
    requests.map(([target, body, options = {}]) => [
      toAddress(addressOf(target)),
      toRequest(body, options),
      options.context,
      options.blob,
    ]),
  );
}

/** Send a request and wait for its outcome, while all other messages queue up: `timeout` (30) seconds at most. */
export function sendAndAwait(target: Target, body: unknown, options: Outgoing = {}): Response | SendError {
  const request = toRequest(body, { timeout: 30, ...options });
  try {
    const [source, message] = wit.sendAndAwaitResponse(toAddress(addressOf(target)), request, options.blob);
    arrivals += 1;
    if (message.tag !== "response") throw new Error("the interface answers with a response");
    return new Response(source, message.val[0], undefined);
  } catch (thrown) {
    return failed(payloadOf(thrown) as wit.SendError, undefined);
  }
}

/** Answer the request that is the current prompt. The body is bytes, or a JSON value. */
export function respond(body: unknown, options: Extras = {}): void {
  const response = {
    inherit: options.inherit ?? false,
    body: json.bytesOf(body),
    metadata: textOf(options.metadata),
    capabilities: toCapabilities(options.capabilities),
  };
  wit.sendResponse(response, options.blob);
}

/** What happens when this process returns or traps. */
export type OnExit = "None" | "Restart" | { Requests: OnExitRequest[] };

/** What is sent when this process ends. */
export interface OnExitRequest {
  target: Target;
  body: unknown;
  inherit?: boolean;
  blob?: Blob;
}

/** What to start with `spawn`. */
export interface Spawn {
  /** Missing: a random number. */
  name?: string;
  /** "None" unless said. */
  onExit?: OnExit;
  capabilities?: Capability[];
  /** Processes that may message the child. */
  grant?: (ProcessId | string)[];
  /** Whether every process of this node may message the child. */
  public?: boolean;
}

/** Start a child from a file of our package, such as "/worker.wasm". Throws SpawnError. */
export function spawn(file: string, options: Spawn = {}): ProcessId {
  const grants = (options.grant ?? []).map((id) => toProcessId(typeof id === "string" ? ProcessId.parse(id) : id));
  const onExit = toOnExit(options.onExit ?? "None");
  try {
    const capabilities = toCapabilities(options.capabilities);
    return fromProcessId(wit.spawn(options.name, file, onExit, capabilities, grants, options.public ?? false));
  } catch (thrown) {
    throw new SpawnError(payloadOf(thrown) as wit.SpawnError);
  }
}

/** Say what happens when this process ends. */
export function setOnExit(onExit: OnExit): void {
  wit.setOnExit(toOnExit(onExit));
}

/** What was said last, or in the manifest. */
export function getOnExit(): OnExit {
  const onExit = wit.getOnExit();
  if (onExit.tag === "none") return "None";
  if (onExit.tag === "restart") return "Restart";
  return {
    Requests: onExit.val.map(([target, request, blob]) => {
      const { body, inherit } = request;
      return { target: fromAddress(target), body: ours(body), inherit, blob: fromBlob(blob) };
    }),
  };
}

/** All that this process holds. */
export function ourCapabilities(): Capability[] {
  return wit.ourCapabilities().map(fromCapability);
}

/** Keep capabilities that came with a message. */
export function saveCapabilities(list: Capability[]): void {
  wit.saveCapabilities(toCapabilities(list));
}

/** Hold these no longer. */
export function dropCapabilities(list: Capability[]): void {
  wit.dropCapabilities(toCapabilities(list));
}

// --- between what authors see and what the interface has

/** The bindings live in a realm of their own: what they give is an instance of their Uint8Array, and would not be one of ours. */
export function ours(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fromBlob(blob: wit.LazyLoadBlob | undefined): Blob | undefined {
  return blob && { ...blob, bytes: ours(blob.bytes) };
}

function toRequest(body: unknown, options: Outgoing): wit.Request {
  return {
    inherit: options.inherit ?? false,
    expectsResponse: options.timeout === undefined ? undefined : BigInt(Math.ceil(options.timeout)),
    body: json.bytesOf(body),
    metadata: textOf(options.metadata),
    capabilities: toCapabilities(options.capabilities),
  };
}

function textOf(metadata: unknown): string | undefined {
  return metadata === undefined ? undefined : json.text(metadata);
}

function toProcessId(id: ProcessId): wit.ProcessId {
  return { processName: id.process, packageName: id.package_, publisherNode: id.publisher };
}

function fromProcessId(id: wit.ProcessId): ProcessId {
  return new ProcessId(id.processName, id.packageName, id.publisherNode);
}

function toAddress(address: Address): wit.Address {
  return { node: address.node, process: toProcessId(address.process) };
}

function fromAddress(address: wit.Address): Address {
  return new Address(address.node, fromProcessId(address.process));
}

function toCapabilities(list: Capability[] = []): wit.Capability[] {
  return list.map(({ issuer, params }) => ({ issuer: toAddress(addressOf(issuer)), params }));
}

function fromCapability({ issuer, params }: wit.Capability): Capability {
  return { issuer: fromAddress(issuer), params };
}

function toOnExit(onExit: OnExit): wit.OnExit {
  if (onExit === "None") return { tag: "none" };
  if (onExit === "Restart") return { tag: "restart" };
  return {
    tag: "requests",
    val: onExit.Requests.map(({ target, body, inherit, blob }) => [
      toAddress(addressOf(target)),
      toRequest(body, { inherit }),
      blob,
    ]),
  };
}
