/**
 * Work for a pool of nodes: boss gives out jobs to the workers on them. A job whose worker is gone goes to another.
 *
 *     {"Run":{"jobs":3,"workers":["one.nec","two.nec"],"timeout":30}}
 *         →  {"Done":{"results":[{"job":0,"sum":76127,"worker":"one.nec"},…],"retried":0}}
 *     "Status"  →  {"Status":{"jobs":3,"waiting":0,"running":2,"done":1,"retried":0}}      at once, meanwhile
 *
 * The kernel tells boss what became of every job: an answer, Offline, or Timeout; exactly one of these. So each job is a
 * function that waits for its worker, and there is nothing to poll. A job that was given out again may be done twice, as it
 * is not known how far the first worker came, but its result is taken once.
 *
 * A worker that was Offline or too slow is left alone for some seconds, then it gets jobs again.
 */

import { Address, Err, ProcessId, Unanswered, ask, json, onRequest, our, sleep } from "nectar";
import { Board, type Job } from "./board.ts";
import { isWhole, maxBelow, type Run } from "./protocol.ts";

const maxJobs = 256;
const maxWorkers = 16;
const maxNameBytes = 253;
const maxTimeout = 3600;
/** Milliseconds that a worker is left alone. */
const rest = 5000;
const worker = ProcessId.parse("worker:pool:sys");

/** Of the run that is under way, or of the last one. */
let board = new Board(0, []);
let underWay = false;

onRequest(async (request) => {
  if (request.source.node !== our.node) throw new Err("only processes of this node may ask this");
  const [name, run] = json.variant(request.json());
  if (name === "Status" && run === undefined) return { Status: board.status() };
  if (name === "Run" && typeof run === "object") return start(run);
  throw new Err('expected {"Run":{"jobs":N,"workers":[NODE,…],"timeout":SECONDS}} or "Status"');
});

async function start(run: Run): Promise<unknown> {
  refuse(run);
  board = new Board(run.jobs, run.workers);
  underWay = true;
  try {
    const failed = await all(run);
    if (failed) return { Failed: failed };
    return { Done: { results: board.results(), retried: board.retried } };
  } finally {
    underWay = false;
  }
}

/** Why the run cannot begin. */
function refuse({ jobs, workers, timeout, below = 1000, attempts = 20, trap = [] }: Run): void {
  if (underWay) throw new Err("a run is under way");
  if (!isWhole(jobs, 1, maxJobs)) throw new Err("a run has 1 to 256 jobs");
  if (!isWhole(below, 0, maxBelow - 100 * jobs)) throw new Err("a job goes up to 1,000,000 at most");
  if (!Array.isArray(workers) || !isWhole(workers.length, 1, maxWorkers)) throw new Err("a run has 1 to 16 workers");
  for (const node of workers) if (typeof node !== "string" || !isWhole(node.length, 1, maxNameBytes)) throw new Err("a worker is not a node's name");
  if (!isWhole(timeout, 1, maxTimeout)) throw new Err("a job's timeout is 1 to 3600 seconds");
  if (!isWhole(attempts, 1, 65_535)) throw new Err("a job needs one attempt at least");
  if (!trap.every((job) => isWhole(job, 0, jobs - 1))) throw new Err("a job that is to trap does not exist");
}

/** Give out jobs until all are done, or one has failed at every attempt. */
async function all(run: Run): Promise<{ job: number; attempts: number } | undefined> {
  const ours = board;
  return new Promise((resolve, reject) => {
    const giveOut = (): void => {
      for (let job = ours.next(); job; job = ours.next()) void attempt(job, run, ours).then(settle, reject);
    };
    const settle = (job: Job): void => {
      if (ours.status().done === run.jobs) return resolve(undefined);
      if (job.state === "waiting" && job.attempts >= (run.attempts ?? 20)) return resolve({ job: job.number, attempts: job.attempts });
      if (ours === board && underWay) giveOut();
    };
    ours.rested = giveOut;
    giveOut();
  });
}

/** Have the job's worker do it. */
async function attempt(job: Job, run: Run, ours: Board): Promise<Job> {
  const place = job.worker!;
  const { below = 1000, rest = 0, trap = [] } = run;
  const order = { number: job.number, below: below + 100 * job.number, rest, trap: trap.includes(job.number) && job.attempts === 1 };
  try {
    const outcome = await ask(new Address(ours.workers[place]!.node, worker), { Do: order }, { timeout: run.timeout });
    const [name, did] = json.variant(outcome);
    if (name === "Did" && did.job === job.number) ours.done(job, did.sum);
    else if (name === "Busy") {
      ours.declined(job);
      void leaveAlone(place, ours);
    } else ours.failed(job);
  } catch (error) {
    if (error instanceof Unanswered) void leaveAlone(place, ours);
    else if (!(error instanceof Err)) throw error;
    ours.failed(job);
  }
  return job;
}

/** Give the worker nothing for some seconds. */
async function leaveAlone(place: number, ours: Board): Promise<void> {
  const worker = ours.workers[place]!;
  if (worker.resting) return;
  worker.resting = true;
  await sleep(rest);
  worker.resting = false;
  if (ours === board && underWay) ours.rested();
}
