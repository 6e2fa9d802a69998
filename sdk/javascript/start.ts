/** What the node calls: prepares the globals, runs the author's module, and tells of an error in the author's lines. */

import { exit } from "wasi:cli/exit@0.2.3";
import { Address } from "./address.ts";
import { installConsole, print } from "./console.ts";
import { run } from "./node.ts";
import { installGlobals } from "./timers.ts";

/** A process: an `init`, or handlers that it has set up while it was loaded. */
export interface Process {
  init?: (our: Address) => unknown;
}

/** The function `init` of the guest. */
export async function start(process: Process, our: string): Promise<void> {
  installConsole();
  installGlobals();
  try {
    await run(Address.parse(our), process.init ?? (() => undefined));
  } catch (error) {
    print(0, error);
    exit({ tag: "err" }); // a process that throws ends as one that traps does: its on-exit setting applies
  }
}
