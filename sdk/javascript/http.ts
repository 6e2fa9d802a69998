/** Pages and WebSockets for browsers. The process needs the capability to message `http-server:distro:sys`. */

import * as json from "./json.ts";
import { Err, isExpected } from "./errors.ts";
import { send, type Blob, type Request } from "./messages.ts";
import { Reply, addRoute, ask, our, type Handler } from "./node.ts";

const server = "http-server:distro:sys";

/** To whom a path is served. */
export interface PathOptions {
  /** Serve only who has signed in. */
  authenticated?: boolean;
  /** Serve only the node's own machine. */
  localOnly?: boolean;
}

/** To whom a path is served, and where bodies go. */
export interface RouteOptions extends PathOptions {
  /** The folder in a drive of our package, "/chess:sys/data/sent", where bodies of any length become files: `bodyFile`. */
  bodyTo?: string;
  /** Bytes of one such body; unless said, the package's quota is the limit. */
  bodyLimit?: number;
}

/** What a browser asks. */
export interface Asked {
  method: string;
  url: string;
  /** By name in lower case. */
  headers: Record<string, string>;
  /** What the parts with a colon of the bound path stand for: `{id: "7"}` for "/games/:id". */
  params: Record<string, string>;
  query: Record<string, string>;
  body: Uint8Array;
  /** Where the body is, of a route with `bodyTo`; undefined: it is empty. */
  bodyFile?: BodyFile;
}

/** A body that has become a file of our package, to keep or remove. */
export interface BodyFile {
  /** As the vfs has it: "/chess:sys/data/sent/0123456789abcdef". */
  path: string;
  /** Bytes. */
  length: number;
  /** BLAKE3, in hex. */
  hash: string;
}

/** What a browser is answered; a text or bytes alone are a body with status 200. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  /** The file that is the body, "/chess:sys/data/film.webm": the server reads it from the disk. */
  file?: string;
}

/** What answers a browser's requests. */
export type Route = (asked: Asked) => Answer | string | Uint8Array | Promise<Answer | string | Uint8Array>;

/** What kind of message goes by a WebSocket. */
export type MessageType = "Text" | "Binary" | "Ping" | "Pong" | "Close";

/** What happens on WebSockets of a path. */
export interface Sockets {
  open?(channel: Channel): unknown;
  message?(channel: Channel, data: Uint8Array, type: MessageType): unknown;
  close?(channel: Channel): unknown;
}

/** One browser's WebSocket. */
export class Channel {
  constructor(
    readonly id: number,
    /** The path that the browser has opened, below the process's name. */
    readonly path: string,
  ) {}

  /** Send a message: a text, bytes, or a JSON value as text. A browser that reads too slowly, or has gone, is closed. */
  send(message: unknown): void {
    const binary = message instanceof Uint8Array;
    const bytes = binary ? message : new TextEncoder().encode(typeof message === "string" ? message : json.text(message));
    send(server, { WebSocketPush: { channel_id: this.id, message_type: binary ? "Binary" : "Text" } }, { blob: { bytes } });
  }

  /** End it; `close` is still called. */
  close(): void {
    send(server, { WebSocketClose: this.id });
  }
}

/** The channels that are open, by number. */
const channels = new Map<number, [Channel, Sockets]>();
const pages = new Map<string, Route>();
const sockets = new Map<string, Sockets>();
let listening = false;

/** Let the server answer GET with `page` itself. */
export async function serve(path: string, page: Blob, options: PathOptions = {}): Promise<void> {
  await bind(path, options, { cache: true }, page);
}

/** Let the server answer GET with a file, or with what lies in a folder, "/chess:sys/pkg/ui", as it is on the disk. */
export async function serveFiles(path: string, files: { file: string } | { folder: string }, options: PathOptions = {}): Promise<void> {
  await bind(path, options, files);
}

/** Answer requests for a path below the process's name, such as "/games/:id". */
export async function route(path: string, answer: Route, options: RouteOptions = {}): Promise<void> {
  pages.set(path, answer);
  const { bodyTo: body_to, bodyLimit: body_limit = null } = options;
  await bind(path, options, body_to === undefined ? {} : { body_to, body_limit });
}

/** Let browsers open WebSockets at a path below the process's name. */
export async function webSocket(path: string, handlers: Sockets, options: { authenticated?: boolean; extension?: boolean } = {}): Promise<void> {
  sockets.set(path, handlers);
  const { authenticated = false, extension = false } = options;
  await tell({ WebSocketBind: { path, authenticated, extension } });
}

async function bind(path: string, options: PathOptions, more: object, blob?: Blob): Promise<void> {
  const { authenticated = false, localOnly: local_only = false } = options;
  await tell({ Bind: { path, authenticated, local_only, cache: false, ...more } }, blob);
}

async function tell(order: unknown, blob?: Blob): Promise<void> {
  if (!listening) addRoute(browsers);
  listening = true;
  const answer = await ask(server, order, { blob });
  if (json.variant(answer)[0] !== "Ok") throw new Err("the HTTP server has not done it");
}

/** Who answers what the HTTP server asks. Another node can call any of its processes http-server: it must be ours. */
function browsers(request: Request): Handler | undefined {
  if (request.source.node !== our.node || request.source.process.toString() !== server) return undefined;
  return onBrowser;
}

function onBrowser(request: Request): unknown {
  const [name, event] = json.variant(request.json());
  if (name === "Http") return onPage(event, request.blob()?.bytes ?? new Uint8Array(0));
  if (name === "WebSocketOpen") {
    const handlers = socketsOf(event.path);
    if (!handlers) return undefined;
    const channel = new Channel(event.channel_id, event.path);
    channels.set(channel.id, [channel, handlers]);
    return handlers.open?.(channel);
  }
  const [channel, handlers] = channels.get(name === "WebSocketPush" ? event.channel_id : event) ?? [];
  if (!channel || !handlers) return undefined;
  if (name === "WebSocketPush") return handlers.message?.(channel, request.blob()?.bytes ?? new Uint8Array(0), event.message_type);
  channels.delete(channel.id);
  return handlers.close?.(channel);
}

async function onPage(event: any, body: Uint8Array): Promise<Reply> {
  const prefix = `/${our.process}`;
  const bound: string = event.bound_path.startsWith(prefix) ? event.bound_path.slice(prefix.length) || "/" : event.bound_path;
  const answer = pages.get(bound);
  if (!answer) return asReply({ status: 404, body: "There is no such page.\n" });
  const { method, url, headers, url_params: params, query_params: query, body_file: bodyFile } = event;
  try {
    return asReply(await answer({ method, url, headers, params, query, body, bodyFile }));
  } catch (error) {
    if (error instanceof Err) return asReply({ status: 400, body: `${error.message}\n` });
    if (!isExpected(error)) throw error;
    console.warn(error);
    return asReply({ status: 500, body: "This page has failed.\n" });
  }
}

function asReply(answer: Answer | string | Uint8Array): Reply {
  if (typeof answer === "string" || answer instanceof Uint8Array) return asReply({ body: answer });
  const { status = 200, headers = {}, body, file } = answer;
  if (file !== undefined) return new Reply({ status, headers, file });
  const text = typeof body === "string";
  const bytes = text ? new TextEncoder().encode(body) : (body ?? new Uint8Array(0));
  return new Reply({ status, headers: text ? { "Content-Type": "text/plain; charset=utf-8", ...headers } : headers }, { blob: { bytes } });
}

/** The handlers of the path that fits: one part with a colon fits any. */
function socketsOf(path: string): Sockets | undefined {
  const parts = path.split("/");
  for (const [bound, handlers] of sockets) {
    const wanted = bound.split("/");
    if (wanted.length === parts.length && wanted.every((part, at) => part === parts[at] || part.startsWith(":"))) return handlers;
  }
  return undefined;
}
