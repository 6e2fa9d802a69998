/**
 * A small key-value store on two nodes: the primary takes what is put, and keeps a replica equal to itself.
 *
 *     {"Lead":{"replica":"two.nec"}}      →  "Ok"      on one.nec, the primary
 *     {"Follow":{"primary":"one.nec"}}    →  "Ok"      on two.nec, the replica
 *     {"Put":{"key":"a","value":"x"}}     →  {"Put":{"version":1,"replicated":true}}      on the primary
 *     {"Get":{"key":"a"}}                 →  {"Value":{"value":"x","version":1}} or "Missing"      on either
 *     "Dump"                              →  {"Dump":{"version":1,"entries":[{"key":"a","value":"x","version":1}]}}
 *
 * A Put is answered when it is durable here and the replica has made it durable (`replicated`), or when it is known that
 * the replica could not be reached, or did not answer in time. Then it is the primary that has to remember: it sends what is
 * missing with the next Put, and every few seconds until there has been an answer.
 *
 * What makes this simple: the replica says in every answer which version it has. So it does not matter which Copy or which
 * answer was lost, or came late; whatever the two have forgotten in a crash, they find where to go on.
 */

import { Address, Err, State, Unanswered, ask, json, onRequest, our, sleep } from "nectar";
import * as table from "./table.ts";

/** A role's text is the other node. */
type Role = "None" | { Primary: string } | { Replica: string };

/** The whole store is saved with every change (`table.ts` keeps it small), the role with it. */
const store = new State<{ role: Role; entries: table.Entry[] }>({ initial: { role: "None", entries: [] } });

const maxNameBytes = 253;
/** Seconds for a Copy: long enough to learn that the replica is Offline. */
const patience = 30;
/** Milliseconds between attempts while the replica is behind. */
const watchEvery = 5000;

/** What the replica said it has; undefined: it has not said so in this life of ours. */
let confirmed: number | undefined;
/** The version up to which everything is on its way to the replica; undefined: go by `confirmed`. */
let sent: number | undefined;
/** Whether a timer runs. */
let watching = false;

export function init(): void {
  const { role } = store.value;
  // An empty Copy is answered with what the replica has.
  if (role !== "None" && "Primary" in role) void copy(version(), version());
}

const version = (): number => table.version(store.value.entries);

const notUnderstood =
  'expected {"Lead":{"replica":NODE}}, {"Follow":{"primary":NODE}}, {"Put":{"key":TEXT,"value":TEXT}}, {"Get":{"key":TEXT}} or "Dump"';

onRequest((request) => {
  const [name, wanted] = json.variant(request.json());
  const { node } = request.source;
  if (name === "Copy") {
    const { role } = store.value;
    if (role === "None" || !("Replica" in role) || role.Replica !== node) throw new Err("we do not follow you");
    return apply(wanted.after, wanted.entries);
  }
  if (node !== our.node) throw new Err("only processes of this node may ask this");
  if (name === "Lead" && isText(wanted?.replica)) return take({ Primary: wanted.replica }, wanted.replica);
  if (name === "Follow" && isText(wanted?.primary)) return take({ Replica: wanted.primary }, wanted.primary);
  if (name === "Put" && isText(wanted?.key) && isText(wanted.value)) return put(wanted.key, wanted.value);
  if (name === "Get" && isText(wanted?.key)) {
    const entry = table.find(store.value.entries, wanted.key);
    return entry ? { Value: { value: entry.value, version: entry.version } } : "Missing";
  }
  if (name === "Dump" && wanted === undefined) return { Dump: { version: version(), entries: store.value.entries } };
  throw new Err(notUnderstood);
});

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** A role is for good: two stores that have each gone their own way could not be made equal without a loss. */
function take(wanted: Role, other: string): string {
  if (other.length === 0 || other.length > maxNameBytes) throw new Err("that is not a node's name");
  if (other === our.node) throw new Err("the two must be different nodes");
  const { role } = store.value;
  if (role === "None") store.update((value) => (value.role = wanted));
  else if (json.text(role) !== json.text(wanted)) {
    throw new Err("Primary" in role ? `this is the primary of ${role.Primary} already` : `this is the replica of ${role.Replica} already`);
  }
  return "Ok";
}

// --- the primary's part

async function put(key: string, value: string): Promise<unknown> {
  const { role } = store.value;
  if (role === "None") throw new Err("this node has no role yet: ask it to Lead or to Follow");
  if ("Replica" in role) throw new Err(`this is the replica: put to ${role.Replica}`);
  table.check(store.value.entries, key, value);
  const before = version();
  const entry = { key, value, version: before + 1 };
  store.update(({ entries }) => table.put(entries, entry));
  return { Put: { version: entry.version, replicated: await copy(sent ?? confirmed ?? before, entry.version) } };
}

/** Send all that changed after the version `after`; whether the replica has the version `wanted` then. */
async function copy(after: number, wanted: number): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const has = await copied(after);
    if (has === undefined) break;
    confirmed = has;
    if (has >= wanted) return true;
    // It lacks more than we thought: an earlier Copy never arrived.
    after = has;
  }
  sent = undefined;
  void watch();
  return false;
}

/** Send a Copy, and return the version that the replica then has; undefined: it has not said. */
async function copied(after: number): Promise<number | undefined> {
  const { role, entries } = store.value;
  const replica = (role as { Primary: string }).Primary;
  sent = version();
  try {
    const body = { Copy: { after, entries: table.after(entries, after) } };
    const answer = await ask(new Address(replica, our.process), body, { timeout: patience });
    const has = answer.Copied?.version;
    if (Number.isInteger(has) && has <= version()) return has;
    console.error(`${replica} has changes that are not ours: it is left alone`);
  } catch (error) {
    if (error instanceof Err) console.info(`${replica} takes no copy: ${error.message}`);
    else if (!(error instanceof Unanswered)) throw error;
  }
  return undefined;
}

/** Try again after a while. */
async function watch(): Promise<void> {
  if (watching) return;
  watching = true;
  await sleep(watchEvery);
  watching = false;
  if (confirmed !== version()) await copy(confirmed ?? version(), version());
}

// --- the replica's part

/** Take over what is new to us, unless something is missing before it, and say how far we are. */
function apply(after: number, entries: table.Entry[]): unknown {
  const before = version();
  const ours = store.value.entries;
  if (after <= before) {
    for (const entry of entries) {
      if (entry.version <= version()) continue; // it has come before
      if (!table.fits(ours, entry.key, entry.value)) break; // the primary would not have taken it either
      table.put(ours, entry);
    }
  }
  if (version() > before) store.save();
  return { Copied: { version: version() } };
}
