"""Work for a pool of nodes: boss gives out jobs to the workers on them. A job whose worker is gone goes to another.

    {"Run": {"jobs": 3, "workers": ["one.nec", "two.nec"], "timeout": 30}}
        →  {"Done": {"results": [{"job": 0, "sum": 76127, "worker": "one.nec"}, …], "retried": 0}}
    "Status"  →  {"Status": {"jobs": 3, "waiting": 0, "running": 2, "done": 1, "retried": 0}}      at once, meanwhile

The kernel tells boss what became of every job: an answer, Offline, or Timeout; exactly one of these. So there is
nothing to poll and no heartbeat. A worker that was Offline or too slow is left alone for some seconds.
"""

from dataclasses import dataclass

from protocol import MAX_BELOW, MAX_CHILDREN, Job, Run

import nectar
from nectar import json, node

REST_SECONDS = 5
"""That a worker is left alone."""
WANTED = 'expected {"Run":{"jobs":N,"workers":[NODE,…],"timeout":SECONDS}} or "Status"'


@dataclass
class Task:
    """A job of a run, and where it is."""

    number: int
    attempts: int = 0
    worker: str | None = None
    """Who had it last."""
    sum: int | None = None


class Work:
    """A run: the jobs that nobody has now, and what has come of the others."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.tasks = [Task(number) for number in range(run.jobs)]
        self.waiting = list(self.tasks)
        self.resting: set[str] = set()
        self.retried = 0
        self.changed = nectar.Signal()
        self.answer: object = None
        """When the run is over."""

    def take(self, worker: str) -> Task | None:
        """A job for a worker; it gets none that it has just failed, if there are other workers."""
        for task in self.waiting if worker not in self.resting else []:
            if task.worker != worker or len(self.run.workers) == 1:
                self.waiting.remove(task)
                self.retried += task.attempts > 0
                task.attempts += 1
                task.worker = worker
                return task
        return None

    def order(self, task: Task) -> dict[str, Job]:
        trap = task.number in self.run.trap and task.attempts == 1
        return {"Do": Job(task.number, self.run.below + 100 * task.number, self.run.rest, trap)}

    def done(self, task: Task, sum: int) -> None:
        task.sum = sum
        if all(each.sum is not None for each in self.tasks):
            results = [{"job": each.number, "sum": each.sum, "worker": each.worker} for each in self.tasks]
            self.answer = {"Done": {"results": results, "retried": self.retried}}

    def failed(self, task: Task) -> None:
        self.waiting.append(task)
        if task.attempts >= self.run.attempts:
            self.answer = {"Failed": {"job": task.number, "attempts": task.attempts}}

    def declined(self, task: Task) -> None:
        """The worker did not even begin: this was no attempt."""
        task.attempts -= 1
        self.retried -= task.attempts > 0
        self.waiting.append(task)

    def status(self) -> dict[str, int]:
        done = sum(each.sum is not None for each in self.tasks)
        waiting = len(self.waiting)
        running = len(self.tasks) - waiting - done
        return {"jobs": len(self.tasks), "waiting": waiting, "running": running, "done": done, "retried": self.retried}


work: Work | None = None
"""The run that is under way, or the last one."""


@nectar.on_request
async def handle(request: nectar.Request) -> object:
    global work
    if request.source.node != node.our().node:
        raise nectar.Refused("only processes of this node may ask this")
    match request.json():
        case "Status":
            none = {"jobs": 0, "waiting": 0, "running": 0, "done": 0, "retried": 0}
            return {"Status": work.status() if work else none}
        case {"Run": dict(asked)}:
            run = json.decode(Run, asked)
            check(run)
            work = mine = Work(run)
            # As many helpers for each worker as it does jobs at a time, so that the first jobs are spread.
            for _ in range(MAX_CHILDREN):
                for worker in run.workers:
                    node.start_soon(help(mine, worker))
            while mine.answer is None:
                await mine.changed.wait()
            return mine.answer
    raise nectar.Refused(WANTED)


async def help(work: Work, worker: str) -> None:
    """Have a worker do one job after the other, until the run is over."""
    while work.answer is None:
        task = work.take(worker)
        if task is None:
            await work.changed.wait()
            continue
        outcome = await attempt(work, task, worker)
        if work.answer is not None:
            return
        match outcome:
            case {"Did": {"job": task.number, "sum": int(sum)}}:
                work.done(task, sum)
            case "Busy":
                work.declined(task)
                leave_alone(work, worker)
            case None:
                work.failed(task)
                leave_alone(work, worker)
            case _:
                work.failed(task)
        work.changed.notify()


async def attempt(work: Work, task: Task, worker: str) -> object:
    """What the worker says of a job; None: nothing."""
    target = nectar.Address(worker, node.our().process.sibling("worker"))
    try:
        return (await node.ask(target, work.order(task), timeout=work.run.timeout)).json()
    except nectar.SendError:
        return None
    except nectar.BadJson:
        return "Crashed"


def leave_alone(work: Work, worker: str) -> None:
    """Give the worker nothing for some seconds."""

    async def rest() -> None:
        await node.sleep(REST_SECONDS)
        work.resting.discard(worker)
        work.changed.notify()

    if worker not in work.resting:
        work.resting.add(worker)
        node.start_soon(rest())


def check(run: Run) -> None:
    """Raise Refused if the run cannot begin."""
    for wrong, why in (
        (work is not None and work.answer is None, "a run is under way"),
        (not 1 <= run.jobs <= 256, "a run has 1 to 256 jobs"),
        (not 0 <= run.below <= MAX_BELOW - 100 * run.jobs, "a job goes up to 1,000,000 at most"),
        (not 1 <= len(run.workers) <= 16, "a run has 1 to 16 workers"),
        (not all(1 <= len(each.encode()) <= 253 for each in run.workers), "a worker is not a node's name"),
        (not 1 <= run.timeout <= 3600, "a job's timeout is 1 to 3600 seconds"),
        (run.attempts < 1, "a job needs one attempt at least"),
        (not all(0 <= each < run.jobs for each in run.trap), "a job that is to trap does not exist"),
    ):
        if wrong:
            raise nectar.Refused(why)
