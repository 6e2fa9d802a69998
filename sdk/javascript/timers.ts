/** Timers and randomness: the language's own names, with what the node has behind them. */

import { fail, sleep } from "./node.ts";

type Callback = (...values: unknown[]) => unknown;

/** Those that have not been cleared. */
const timers = new Set<number>();
let last = 0;

/** `setTimeout` and the like wait by the node's timers, and `Math.random` takes the node's random bytes. */
export function installGlobals(): void {
  const clear = (id: number): void => void timers.delete(id);
  Object.assign(globalThis, { setTimeout, setInterval, clearTimeout: clear, clearInterval: clear });
  Math.random = random;
}

function setTimeout(callback: Callback, milliseconds = 0, ...values: unknown[]): number {
  const id = begin();
  void sleep(milliseconds).then(() => timers.delete(id) && callback(...values)).catch((error) => fail(undefined, error));
  return id;
}

function setInterval(callback: Callback, milliseconds = 0, ...values: unknown[]): number {
  const id = begin();
  const again = async (): Promise<void> => {
    for (;;) {
      await sleep(milliseconds);
      if (!timers.has(id)) return;
      try {
        await callback(...values);
      } catch (error) {
        fail(undefined, error);
      }
    }
  };
  void again();
  return id;
}

function begin(): number {
  last += 1;
  timers.add(last);
  return last;
}

let pool = new Uint32Array(0);
let used = 0;

/** A number from 0 up to 1, of 53 random bits. */
function random(): number {
  if (used + 2 > pool.length) {
    pool = crypto.getRandomValues(new Uint32Array(64));
    used = 0;
  }
  const high = pool[used]! >>> 5;
  const low = pool[used + 1]! >>> 6;
  used += 2;
  return (high * 67_108_864 + low) / 9_007_199_254_740_992;
}
