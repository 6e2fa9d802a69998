/**
 * Promises over one loop: handlers are async functions, many of which are under way at a time.
 *
 * The kernel remembers for a process which request it would answer, its prompt: that of the last message which brought
 * one. Handlers overlap, so the loop keeps track of it, and each answer goes to the request that it is for, however long its
 * handler has waited and for whatever.
 */

import { type Address, type Target } from "./address.ts";
import { Err, isExpected } from "./errors.ts";
import * as json from "./json.ts";
import { receive, respond, send, type Extras, type Request, type Response, type SendError } from "./messages.ts";

/** This process. Set before `init` is called. */
export let our: Address;

/** How to ask. */
export interface Ask extends Extras {
  /** Seconds until a Timeout; 30 unless said. */
  timeout?: number;
}

/** What a handler returns to answer with more than a body. */
export class Reply {
  constructor(
    readonly body: unknown,
    readonly options: Extras = {},
  ) {}
}

/** Answers a request with what it returns: a JSON value, bytes, or a `Reply`. Undefined: it does not answer. */
export type Handler = (request: Request) => unknown;

let handler: Handler | undefined;
/** Take some requests before `handler` sees them, such as those of browsers. */
const routes: ((request: Request) => Handler | undefined)[] = [];

/** Say what answers requests. There is one such function; another one takes its place. */
export function onRequest(answer: Handler): void {
  handler = answer;
}

/** Have `route` choose who answers a request, before `onRequest`'s function does. */
export function addRoute(route: (request: Request) => Handler | undefined): void {
  routes.push(route);
}

/** A request that is to be answered, as the kernel's prompt. */
interface Prompt {
  answered: boolean;
  /** How many requests of ours are under way that bring it back. */
  returning: number;
  /** What to answer, once it is the kernel's prompt again. */
  reply?: Reply;
  /** Milliseconds until we look at it again. */
  pause: number;
}

interface Pending {
  prompt: Prompt | undefined;
  settle: (outcome: Response | SendError) => void;
}

const max_pause = 1000;
/** What the kernel's prompt is now; undefined: none, or one that we do not know. */
let prompt: Prompt | undefined;
let lastId = 0;
const pending = new Map<number, Pending>();

/** Send a request; `settle` is called with its outcome. */
function begin(target: Target, body: unknown, options: Ask, settle: Pending["settle"]): void {
  const context = new Uint8Array(8);
  lastId += 1;
  new DataView(context.buffer).setFloat64(0, lastId);
  send(target, body, { ...options, timeout: options.timeout ?? 30, context });
  pending.set(lastId, { prompt, settle });
  if (prompt) prompt.returning += 1;
}

/** Send a request and wait for the response to it. Throws Offline and Timeout. */
export function request(target: Target, body: unknown, options: Ask = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    begin(target, body, options, (outcome) => {
      if (outcome.kind === "response") resolve(outcome);
      else reject(outcome.toError(target));
    });
  });
}

/** Send a request and wait for the JSON value that answers it. Throws Offline, Timeout, Err for `{"Err": …}`, and NotJson. */
export async function ask(target: Target, body: unknown, options: Ask = {}): Promise<any> {
  const answer = (await request(target, body, options)).json();
  const [name, reason] = json.variant(answer);
  if (name === "Err") throw new Err(reason);
  return answer;
}

/** Wait. In a simulation the time is virtual. */
export async function sleep(milliseconds: number): Promise<void> {
  const rounded = Math.max(0, Math.ceil(milliseconds));
  await request("timer:distro:sys", { SetTimer: rounded }, { timeout: Math.ceil(rounded / 1000) + 10 });
}

function handle(request: Request): void {
  const mine: Prompt | undefined = request.wantsAnswer ? { answered: false, returning: 0, pause: 1 } : undefined;
  if (mine) prompt = mine;
  let answer = handler;
  for (const route of routes) {
    const found = route(request);
    if (found) {
      answer = found;
      break;
    }
  }
  if (!answer) {
    if (mine) finish(mine, new Reply({ Err: "this process takes no requests" }));
    return;
  }
  let result: unknown;
  try {
    result = answer(request);
  } catch (error) {
    return fail(mine, error);
  }
  if (result instanceof Promise) result.then((value) => finish(mine, value), (error) => fail(mine, error));
  else finish(mine, result);
}

/** Answer now or, if the kernel's prompt is another one, as soon as it is this one. */
function finish(mine: Prompt | undefined, value: unknown): void {
  if (!mine) return;
  if (value === undefined) {
    mine.answered = true;
    return;
  }
  try {
    mine.reply = value instanceof Reply ? new Reply(json.bytesOf(value.body), value.options) : new Reply(json.bytesOf(value));
  } catch (error) {
    return fail(mine, error);
  }
  answerIfPossible(mine);
}

/** What ends the process: an error that it does not expect and that nobody has caught. */
let mistake: { error: unknown } | undefined;

/** Do what an error demands that nobody has caught, of a handler or, without a prompt, of work beside them. */
export function fail(mine: Prompt | undefined, error: unknown): void {
  if (!isExpected(error)) mistake ??= { error };
  else if (mine) finish(mine, { Err: error instanceof Err ? error.reason : error.message });
  else console.warn(error);
}

function answerIfPossible(mine: Prompt): void {
  if (prompt !== mine || !mine.reply || mine.answered) return;
  mine.answered = true;
  respond(mine.reply.body, mine.reply.options);
}

/** Take the outcome of a request of ours, which puts back the prompt under which it was sent. */
function settle(outcome: Response | SendError): void {
  const id = outcome.context?.length === 8 ? viewOf(outcome.context).getFloat64(0) : 0;
  const asked = pending.get(id);
  prompt = asked?.prompt;
  if (!asked) return;
  pending.delete(id);
  if (prompt) {
    prompt.returning -= 1;
    answerIfPossible(prompt);
  }
  asked.settle(outcome);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * A handler that waits for something else than an answer to a request of its own (another handler, say) would not find
 * its prompt again. A timer brings it back now and then.
 */
function keepPrompt(): void {
  if (!prompt || prompt.answered || prompt.returning > 0) return;
  const milliseconds = prompt.pause;
  prompt.pause = Math.min(2 * milliseconds, max_pause);
  begin("timer:distro:sys", { SetTimer: milliseconds }, {}, () => {});
}

/** What the engine came with; the global one is ours. */
const engineTimeout = globalThis.setTimeout;

/** Let everything run that can: the engine looks at its timers when no promise has work left. */
function everythingElse(): Promise<void> {
  return new Promise((resolve) => engineTimeout(resolve, 0));
}

/** Run `init` and then the loop, until `init` is over and there is nothing to wait for. */
export async function run(address: Address, init: (our: Address) => unknown): Promise<void> {
  our = address;
  let running = true;
  const started = init(our);
  if (started instanceof Promise) {
    started.then(
      () => (running = false),
      (error) => (mistake ??= { error }),
    );
  } else running = false;
  for (;;) {
    await everythingElse();
    if (mistake) throw mistake.error;
    keepPrompt();
    if (!running && !handler && routes.length === 0 && pending.size === 0) return;
    const event = receive();
    if (event.kind === "request") handle(event);
    // A response of ours that has come back concerns nobody here.
    else if (event.kind === "response" || event.ofRequest) settle(event);
    else prompt = undefined;
  }
}

