/**
 * Takes jobs from the boss of any node, gives each to a child of its own, and passes on what comes of it. A child that
 * traps costs its job; the worker says so and goes on.
 */

import { Err, SpawnError, Unanswered, json, onRequest, request, spawn } from "nectar";
import { isWhole, maxBelow, maxChildren } from "./protocol.ts";

/** Seconds that a child may take. */
const patience = 3600;

let children = 0;

onRequest(async (order) => {
  const [name, job] = json.variant(order.json());
  if (name !== "Do" || typeof job !== "object") throw new Err('expected {"Do":JOB}');
  if (!isWhole(job.below, 0, maxBelow)) throw new Err("a job goes up to 1,000,000 at most");
  if (children === maxChildren) return "Busy";
  children += 1;
  try {
    return (await request(spawn("/child.wasm"), order.body, { timeout: patience })).body;
  } catch (error) {
    if (error instanceof Unanswered) return "Crashed";
    throw error instanceof SpawnError ? new Err("no child could be started") : error;
  } finally {
    children -= 1;
  }
});
