/**
 * tests/guests/probe.zig in TypeScript, step for step: a process that does what it is told, and tells what it saw.
 *
 * It calls the kernel as the interface has it, without what the SDK does for people: so it can send what is wrong.
 */

import * as wit from "nectar:process/standard@0.7.0";
import { json } from "nectar";

/** Bytes of a body or blob that are told. */
const short = 200;
const page = 64 * 1024;

type Fields = Record<string, any>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const log: string[] = [];
let received: wit.Capability[] = [];
let onReturned = "";
let ending = false;

export function init(): void {
  while (!ending) {
    const event = receive();
    if (event.kind === "request") {
      if (event.body === '"Report"') {
        log.pop(); // the request for it
        answer({ body: `[${log.join(",")}]` });
      } else if (event.body === '"Forget"') {
        log.length = 0;
        answer({ body: "[]" });
      } else runIfScript(event.body);
    } else if (event.kind === "returned") {
      const script = onReturned;
      onReturned = "";
      runIfScript(script);
    } else runIfScript(event.context ?? "");
  }
}

function runIfScript(text: string): void {
  if (!text.startsWith("[")) return;
  for (const step of json.parse(text)) {
    const [name, payload] = json.variant(step);
    steps[name]!(payload);
    if (ending) return;
  }
}

// --- messages

interface Seen {
  kind: string;
  body: string;
  context?: string;
}

function receive(): Seen {
  try {
    const [source, message] = wit.receive();
    return seeMessage(source, message);
  } catch (thrown) {
    const [error, context] = (thrown as { payload: [wit.SendError, Uint8Array | undefined] }).payload;
    return seeError(error, context);
  }
}

function receiveUntil(body: string): void {
  while (receive().body !== body);
}

function request(message: Fields): wit.Request {
  const { script, expects } = message;
  return {
    inherit: message.inherit ?? false,
    expectsResponse: expects == null ? undefined : BigInt(expects),
    body: script == null ? sized(message.body ?? "", message.size) : json.stringify(script),
    metadata: message.metadata ?? undefined,
    capabilities: capabilities(message.capabilities),
  };
}

function context({ then, context }: Fields): Uint8Array | undefined {
  if (then != null) return json.stringify(then);
  return context == null ? undefined : encoder.encode(context);
}

function outgoing(message: Fields): [wit.Address, wit.Request, Uint8Array | undefined, wit.LazyLoadBlob | undefined] {
  return [lenient(message.to), request(message), context(message), blob(message.blob)];
}

function sendAndAwait(message: Fields): void {
  try {
    seeMessage(...wit.sendAndAwaitResponse(lenient(message.to), request(message), blob(message.blob)));
  } catch (thrown) {
    const { payload } = thrown as { payload?: wit.SendError };
    if (payload === undefined) throw thrown;
    seeError(payload, undefined);
  }
}

function flood({ to, count, size }: Fields): void {
  for (let number = 0; number < count; number += 1) {
    wit.sendRequest(...outgoing({ to, body: `${number}`, size: size || undefined }));
  }
}

function answer(reply: Fields): void {
  wit.sendResponse(
    {
      inherit: reply.inherit ?? false,
      body: sized(reply.body ?? "", reply.size),
      metadata: reply.metadata ?? undefined,
      capabilities: capabilities(reply.capabilities),
    },
    blob(reply.blob),
  );
}

// --- settings

function spawn(child: Fields): void {
  const grants = (child.grants ?? []).map((each: string) => lenient(each).process);
  const held = capabilities(child.capabilities);
  try {
    const path = child.path ?? "/probe.wasm";
    const id = wit.spawn(child.name ?? undefined, path, onExit(child.on_exit ?? "None"), held, grants, child.public ?? false);
    see({ kind: "spawned", body: encoder.encode(idOf(id)) });
  } catch (thrown) {
    const { payload } = thrown as { payload?: wit.SpawnError };
    if (payload === undefined) throw thrown;
    see({ kind: "spawned", failure: payload === "name-taken" ? "NameTaken" : "NoFileAtPath" });
  }
}

function onExit(wanted: any): wit.OnExit {
  if (wanted === "None") return { tag: "none" };
  if (wanted === "Restart") return { tag: "restart" };
  return { tag: "requests", val: wanted.Requests.map((each: Fields) => [lenient(each.to), request(each), blob(each.blob)]) };
}

function getOnExit(): void {
  const found = wit.getOnExit();
  if (found.tag !== "requests") return void see({ kind: "on-exit", body: encoder.encode(found.tag) });
  for (const [target, { body }] of found.val) see({ kind: "on-exit", source: addressOf(target), body });
}

// --- misbehaviour

/** Without end: each call needs what the next one returns. */
function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}

function grow(pages: number): void {
  let got: Uint8Array[] = [];
  try {
    while (got.length < pages) got.push(new Uint8Array(page).fill(1));
  } catch {
    // there are no more
  }
  const size = got.length;
  got = [];
  see({ kind: "grown", size });
}

const steps: Record<string, (payload: any) => void> = {
  Send: (message) => wit.sendRequest(...outgoing(message)),
  SendMany: (messages) => wit.sendRequests(messages.map(outgoing)),
  Await: sendAndAwait,
  Respond: answer,
  Receive: (count) => {
    for (let number = 0; number < count; number += 1) receive();
  },
  ReceiveUntil: receiveUntil,
  GetBlob: () => see({ kind: "blob", blob: wit.getBlob() }),
  Spawn: spawn,
  OurCapabilities: () => see({ kind: "capabilities", capabilities: wit.ourCapabilities() }),
  SaveCapabilities: (list) => wit.saveCapabilities(capabilities(list)),
  SaveReceived: () => wit.saveCapabilities(received),
  DropCapabilities: (list) => wit.dropCapabilities(capabilities(list)),
  SetOnExit: (wanted) => wit.setOnExit(onExit(wanted)),
  GetOnExit: getOnExit,
  GetState: () => see({ kind: "state", body: wit.getState() }),
  SetState: (text) => {
    wit.setState(encoder.encode(text));
    see({ kind: "saved" });
  },
  ClearState: () => wit.clearState(),
  Print: ({ verbosity, text }) => wit.printToTerminal(verbosity ?? 0, text),
  Flood: flood,
  Grow: grow,
  OnReturned: (script) => (onReturned = json.text(script)),
  Recurse: () => void recurse(1),
  Spin: () => {
    for (;;);
  },
  Trap: () => {
    throw new Error("told to");
  },
  Return: () => (ending = true),
};

// --- what it is told

/** `node@process:package:publisher`, whatever the parts are: what is wrong with them is for the kernel to find. */
function lenient(text: string): wit.Address {
  const at = text.indexOf("@");
  const [processName = "", packageName = "", ...rest] = text.slice(at + 1).split(":");
  return { node: at < 0 ? "our" : text.slice(0, at), process: { processName, packageName, publisherNode: rest.join(":") } };
}

function capabilities(list: { issuer: string; params: string }[] = []): wit.Capability[] {
  return list.map(({ issuer, params }) => ({ issuer: lenient(issuer), params }));
}

function blob(wanted: Fields | null | undefined): wit.LazyLoadBlob | undefined {
  return wanted == null ? undefined : { mime: wanted.mime ?? undefined, bytes: sized(wanted.text ?? "", wanted.size) };
}

function sized(text: string, size?: number | null): Uint8Array {
  const written = encoder.encode(text);
  if (size == null) return written;
  const bytes = new Uint8Array(size).fill("x".charCodeAt(0));
  bytes.set(written.subarray(0, size));
  return bytes;
}

// --- what it saw

function seeMessage(source: wit.Address, message: wit.Message): Seen {
  const [kind, { body, inherit, metadata, capabilities }] =
    message.tag === "request" ? (["request", message.val] as const) : (["response", message.val[0]] as const);
  received = capabilities;
  const context = message.tag === "response" && message.val[1] ? textOf(message.val[1]) : undefined;
  const expects = message.tag === "request" ? message.val.expectsResponse : undefined;
  see({ kind, source: addressOf(source), body, inherit, metadata, context, expects, capabilities });
  return { kind, body: textOf(body), context };
}

function seeError({ kind: failure, message, lazyLoadBlob }: wit.SendError, bytes: Uint8Array | undefined): Seen {
  const [kind, { body }] = message.tag === "request" ? (["error", message.val] as const) : (["returned", message.val[0]] as const);
  const context = bytes && textOf(bytes);
  see({ kind, failure, body, context, blob: lazyLoadBlob });
  return { kind, body: textOf(body), context };
}

interface What {
  kind: string;
  body?: Uint8Array;
  blob?: wit.LazyLoadBlob;
  capabilities?: wit.Capability[];
  [more: string]: unknown;
}

function see({ body, blob, capabilities = [], ...seen }: What): void {
  const shown = capabilities.map(({ issuer, params }) => ({ issuer: addressOf(issuer), params }));
  const of_body = body && { size: body.length, body: textOf(body.subarray(0, short)) };
  const of_blob = blob && { mime: blob.mime, blob: textOf(blob.bytes.subarray(0, short)), blob_size: blob.bytes.length };
  const text = json.text({ ...seen, ...of_body, ...of_blob, capabilities: shown });
  log.push(text);
  wit.printToTerminal(3, `saw ${text}`);
}

function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function idOf({ processName, packageName, publisherNode }: wit.ProcessId): string {
  return `${processName}:${packageName}:${publisherNode}`;
}

function addressOf({ node, process }: wit.Address): string {
  return `${node}@${idOf(process)}`;
}
