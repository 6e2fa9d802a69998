/**
 * Greets whoever asks, or asks hello on another node to do so and tells what came of it.
 *
 *     {"Greet": "Ada"}                                        →  {"Greeting": "Hello, Ada, from one.nec"}
 *     {"Ask": {"node": "two.nec", "name": "Ada"}}             →  {"Answered": {"body": {"Greeting": …}}}
 */

import { Address, Err, Offline, Timeout, json, onRequest, our, request } from "nectar";

onRequest(async (asked) => {
  const [name, payload] = json.variant(asked.json());
  if (name === "Greet" && typeof payload === "string") return { Greeting: `Hello, ${payload}, from ${our.node}` };
  if (name === "Ask" && typeof payload?.node === "string" && typeof payload.name === "string") return ask(payload);
  throw new Err("not a Greet or an Ask");
});

/**
 * Have `node` greet `name`; give up after `timeout` seconds.
 *
 * @param {{node: string, name: string, timeout?: number}} asked
 */
async function ask({ node, name, timeout = 5 }) {
  try {
    const answer = await request(new Address(node, our.process), { Greet: name }, { timeout });
    return { Answered: { body: answer.json() } };
  } catch (error) {
    if (!(error instanceof Offline || error instanceof Timeout)) throw error;
    console.info(`no greeting from ${node}: ${error.name}`);
    return { Failed: { kind: error.name } };
  }
}
