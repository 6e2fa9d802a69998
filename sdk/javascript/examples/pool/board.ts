/** Which job of a run is where. It only keeps account: who sends and who waits is in `boss.ts`. */

import { maxChildren, type Result } from "./protocol.ts";

export interface Job {
  number: number;
  state: "waiting" | "running" | "done";
  attempts: number;
  /** The place of who had it last. */
  worker: number | undefined;
  sum: number;
}

interface Worker {
  node: string;
  running: number;
  resting: boolean;
}

export class Board {
  readonly jobs: Job[];
  readonly workers: Worker[];
  /** How often a job was given out again. */
  retried = 0;
  /** Called when a worker has rested. */
  rested: () => void = () => {};

  constructor(jobs: number, workers: string[]) {
    this.jobs = Array.from({ length: jobs }, (_, number) => ({ number, state: "waiting", attempts: 0, worker: undefined, sum: 0 }));
    this.workers = workers.map((node) => ({ node, running: 0, resting: false }));
  }

  /** A job to give out, with its worker; undefined: nothing is to be done, or nobody can do it now. It counts as running. */
  next(): Job | undefined {
    for (const job of this.jobs) {
      if (job.state !== "waiting") continue;
      const place = this.#free(job.worker);
      if (place === undefined) continue;
      if (job.attempts > 0) this.retried += 1;
      job.state = "running";
      job.attempts += 1;
      job.worker = place;
      this.workers[place]!.running += 1;
      return job;
    }
    return undefined;
  }

  /** The place of the worker with the least to do; not `last` again if there are others. */
  #free(last: number | undefined): number | undefined {
    let best: number | undefined;
    this.workers.forEach(({ running, resting }, place) => {
      if (resting || running === maxChildren || (place === last && this.workers.length > 1)) return;
      if (best === undefined || running < this.workers[best]!.running) best = place;
    });
    return best;
  }

  done(job: Job, sum: number): void {
    this.#returned(job, "done");
    job.sum = sum;
  }

  /** The attempt came to nothing. */
  failed(job: Job): void {
    this.#returned(job, "waiting");
  }

  /** The worker did not even begin: this was no attempt. */
  declined(job: Job): void {
    this.#returned(job, "waiting");
    job.attempts -= 1;
    if (job.attempts > 0) this.retried -= 1;
  }

  #returned(job: Job, state: Job["state"]): void {
    job.state = state;
    this.workers[job.worker!]!.running -= 1;
  }

  status(): Record<string, number> {
    const count = (state: Job["state"]): number => this.jobs.filter((job) => job.state === state).length;
    return { jobs: this.jobs.length, waiting: count("waiting"), running: count("running"), done: count("done"), retried: this.retried };
  }

  results(): Result[] {
    return this.jobs.map(({ number, sum, worker }) => ({ job: number, sum, worker: this.workers[worker!]!.node }));
  }
}
