/**
 * A chat with a page: people type in browsers, the page and this process talk over a WebSocket, and the processes of two
 * nodes by messages.
 *
 *     browser                             this process                       web_chat of two.nec
 *     {"Say":{"to":"two.nec","text":"Hi"}}  →
 *                  ←  {"Line":{…,"state":"Sent"}}
 *                                         {"Line":{"number":1,"text":"Hi"}}  →
 *                                                                            ←  "Heard"
 *                  ←  {"Line":{…,"state":"Heard"}}
 *
 * A line that did not get there is shown as Offline, or Timeout if nobody knows whether it did. {"Again":1} sends it once
 * more, under the number that it had: whoever has heard it already answers and does not show it twice. Lines are saved
 * before anybody is told of them, so both ends of a conversation outlive a crash.
 */

import { Address, Err, Offline, Timeout, ask, http, json, onRequest, our, send } from "nectar";
import * as kept from "./lines.ts";
import page from "./page.html?raw";
import style from "./page.css?raw";
import script from "./page.js?raw";

/** Seconds for a line to another node: long enough to learn that it is Offline. */
const patience = 30;
const maxNameBytes = 253;
const maxTextBytes = 1000;

/** The WebSockets that are open: one for each page that somebody looks at. */
const channels = new Set<http.Channel>();

export async function init(): Promise<void> {
  await serve("/", "text/html; charset=utf-8", page);
  await serve("/page.css", "text/css", style);
  await serve("/page.js", "text/javascript", script);
  await http.webSocket("/lines", { open, message, close: (channel) => channels.delete(channel) }, { authenticated: true });
  // The homepage need not be there, so nobody waits for its answer.
  send("homepage:homepage:sys", { Add: { label: "Chat", path: "/" } });
  for (const line of kept.all()) if (line.state === "Sent") settle(line, "Timeout"); // by an earlier life of ours
}

// --- browsers

/** Let the node serve a page to whoever has signed in, without waking us. */
async function serve(path: string, mime: string, text: string): Promise<void> {
  await http.serve(path, { mime, bytes: new TextEncoder().encode(text) }, { authenticated: true });
}

function open(channel: http.Channel): void {
  channels.add(channel);
  channel.send({ Hello: { node: our.node, lines: kept.all() } });
}

function message(channel: http.Channel, data: Uint8Array, type: http.MessageType): void {
  if (type !== "Text") return;
  try {
    obey(data);
  } catch (error) {
    if (!(error instanceof Err)) throw error;
    channel.send({ Err: error.message });
  }
}

/** Do what a page wants. */
function obey(order: Uint8Array): void {
  let name, wanted;
  try {
    [name, wanted] = json.variant(json.parse(order));
  } catch {
    name = "";
  }
  if (name === "Say" && typeof wanted?.to === "string" && typeof wanted.text === "string") {
    const { to, text } = wanted;
    if (!hasBytes(to, maxNameBytes)) throw new Err("Say the name of a node, such as two.nec.");
    if (to === our.node) throw new Err("That is this node itself: name another one.");
    if (!hasBytes(text, maxTextBytes)) throw new Err("A line has 1 to 1,000 bytes.");
    void say(kept.add({ node: to, text }));
  } else if (name === "Again" && Number.isInteger(wanted)) {
    const line = kept.find(wanted);
    if (!line) throw new Err("That line is not kept any more.");
    if (!line.mine || line.state === "Sent" || line.state === "Heard") throw new Err("That line is not one to send again.");
    kept.change(line, "Sent");
    void say(line);
  } else throw new Err("That is no order that this chat knows.");
}

function tellAll(line: kept.Line): void {
  for (const channel of channels) channel.send({ Line: line });
}

// --- other nodes

async function say(line: kept.Line): Promise<void> {
  tellAll(line);
  const { node, number, text } = line;
  try {
    const answer = await ask(new Address(node, our.process), { Line: { number, text } }, { timeout: patience });
    settle(line, answer === "Heard" ? "Heard" : "Refused");
  } catch (error) {
    settle(line, error instanceof Offline ? "Offline" : error instanceof Timeout ? "Timeout" : "Refused");
  }
}

function settle(line: kept.Line, state: kept.Fate): void {
  if (!kept.find(line.id)) return; // so many have come since that it is not kept
  kept.change(line, state);
  tellAll(line);
}

onRequest((request) => {
  const [name, line] = json.variant(request.json());
  if (name !== "Line" || typeof line?.text !== "string" || !Number.isInteger(line.number)) throw new Err("expected a Line");
  const { node } = request.source;
  if (node === our.node) throw new Err("lines come from other nodes");
  if (!hasBytes(line.text, maxTextBytes)) throw new Err("a line has 1 to 1,000 bytes");
  if (!kept.has(node, line.number)) tellAll(kept.add({ node, text: line.text, number: line.number }));
  return "Heard";
});

function hasBytes(text: string, most: number): boolean {
  const { length } = new TextEncoder().encode(text);
  return length > 0 && length <= most;
}
