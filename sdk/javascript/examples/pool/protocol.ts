/** What users, boss, workers and children say to each other. */

/** Jobs that one worker does at a time, each in a child of its own. */
export const maxChildren = 4;
export const maxBelow = 1_000_000;

/**
 * The sum of all primes below `below`. The child first rests for `rest` milliseconds, as if it were much work, and with
 * `trap` it then traps instead.
 */
export interface Job {
  number: number;
  below: number;
  rest?: number;
  trap?: boolean;
}

export interface Run {
  /** Their number; job k is the sum of all primes below `below` + 100 k. */
  jobs: number;
  below?: number;
  /** Nodes with a `worker:pool:sys`. */
  workers: string[];
  /** Seconds that one attempt at a job may take. */
  timeout: number;
  /** Attempts at one job. */
  attempts?: number;
  rest?: number;
  /** Jobs whose child traps at the first attempt. */
  trap?: number[];
}

export interface Result {
  job: number;
  sum: number;
  worker: string;
}

/** From a child, and from a worker. Crashed: the child ended without an answer. Busy: the worker has all its children. */
export type Outcome = { Did: { job: number; sum: number } } | "Crashed" | "Busy" | { Err: string };

/** Whether it is a whole number from `low` to `high`. */
export function isWhole(value: unknown, low: number, high: number): value is number {
  return Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}
