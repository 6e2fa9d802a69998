/**
 * A counter that goes on counting after a restart.
 *
 *     {"Add": 5}  →  {"Count": 5}
 *     "Get"       →  {"Count": 5}
 */

import { Err, State, json, onRequest } from "nectar";

interface Counter {
  count: number;
  /** How often something was added; the first version did not know that. */
  adds: number;
}

const counter = new State<Counter>({ version: 2, initial: { count: 0, adds: 0 }, migrations: { 1: fromBytes } });

/** Version 1 was the count alone, as eight bytes. */
function fromBytes(old: Uint8Array): Counter {
  if (old.length !== 8) throw new Error("a count of version 1 has eight bytes");
  return { count: Number(new DataView(old.buffer, old.byteOffset).getBigUint64(0, true)), adds: 0 };
}

onRequest((request) => {
  const [name, number] = json.variant(request.json());
  if (name === "Add" && Number.isInteger(number) && number >= 0) {
    counter.update((value) => {
      value.count += number;
      value.adds += 1;
    });
  } else if (name !== "Get" || number !== undefined) throw new Err('expected {"Add": NUMBER} or "Get"');
  return { Count: counter.value.count };
});
