/** Does one job and ends: in the plain style, without handlers. */

import { type Address, json, receive, respond, sendAndAwait } from "nectar";
import type { Job } from "./protocol.ts";

export function init(our: Address): void {
  for (;;) {
    const event = receive();
    if (event.kind !== "request" || !event.source.process.samePackage(our.process)) continue;
    const [, job] = json.variant(event.json());
    return work(job);
  }
}

function work({ number, below, rest = 0, trap = false }: Job): void {
  if (rest > 0) sendAndAwait("timer:distro:sys", { SetTimer: rest }, { timeout: rest / 1000 + 10 });
  if (trap) throw new Error("a job that was to trap");
  respond({ Did: { job: number, sum: sumOfPrimes(below) } });
}

function sumOfPrimes(below: number): number {
  let sum = 0;
  for (let number = 2; number < below; number += 1) if (isPrime(number)) sum += number;
  return sum;
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) return false;
  return true;
}
