"""Drives the engine with threads: some wait for the remote, and some compress and encrypt."""

from __future__ import annotations

import os
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nectar_node.backup.format.limits import IN_FLIGHT
from nectar_node.backup.operations import (
    Begin,
    Delete,
    Done,
    Get,
    List,
    Operation,
    Perform,
    Put,
    Remote,
    Result,
    Steps,
    carry_out,
)
from nectar_node.backup.playing import done

_MAX_WORKERS = 4
"""Threads that compute: what one more would do, the disk does not keep up with."""


def drive(steps: Steps[Result], remote: Remote) -> Result:
    """Carry out everything that the engine asks for, and return its result; raises what it raises."""
    ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
    waiters = ThreadPoolExecutor(IN_FLIGHT, "backup remote")
    workers = ThreadPoolExecutor(max(2, min(_MAX_WORKERS, os.cpu_count() or 1)), "backup work")

    def finish(operation: Operation) -> None:
        ended.put(done(remote, operation))

    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer, error = None, None
            match step:
                case Perform(operation):
                    try:
                        answer = carry_out(remote, operation)
                    except Exception as failure:  # it is the engine's to deal with
                        error = failure
                case Begin(operation):
                    pool = waiters if isinstance(operation, Put | Get | List | Delete) else workers
                    pool.submit(finish, operation)
                case _:
                    answer = ended.get()
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        steps.close()
        for pool in (waiters, workers):
            pool.shutdown(wait=True, cancel_futures=True)
