/**
 * Lines between nodes.
 *
 *     {"Say": {"to": "two.nec", "text": "Hi"}}  →  "Heard", or {"Missed": "Offline"} if it did not get there
 *     "Lines"  →  {"Lines": [{"node": "one.nec", "text": "Hi"}]}      what this node has heard, the last 100
 *
 * {"Missed": "Timeout"} means that nobody knows: the line may have been heard, and the word of it was lost.
 */

import { Address, Err, Offline, Timeout, json, onRequest, our, request } from "nectar";

/** Seconds for a line to another node: long enough to learn that it is Offline. */
const patience = 30;
const maxLines = 100;

const lines: { node: string; text: string }[] = [];

onRequest(async (asked) => {
  const [name, value] = json.variant(asked.json());
  const node = asked.source.node;
  if (name === "Say" && typeof value?.to === "string" && typeof value.text === "string" && node === our.node) {
    return say(value.to, value.text);
  }
  if (name === "Lines") return { Lines: lines };
  if (name === "Line" && typeof value === "string") {
    // From this process on another node; which one, the kernel knows.
    lines.push({ node, text: value });
    if (lines.length > maxLines) lines.shift();
    return "Heard";
  }
  throw new Err('not a Say of this node, a Line or "Lines"');
});

async function say(to: string, text: string): Promise<unknown> {
  try {
    return (await request(new Address(to, our.process), { Line: text }, { timeout: patience })).json();
  } catch (error) {
    if (!(error instanceof Offline || error instanceof Timeout)) throw error;
    return { Missed: error.name };
  }
}
