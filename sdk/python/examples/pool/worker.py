"""Takes jobs from the boss of any node, gives each to a child of its own, and passes on what comes of it. A child that
fails costs its job; the worker says so and goes on."""

from protocol import MAX_BELOW, MAX_CHILDREN, Job

import nectar
from nectar import json, kernel, node

PATIENCE = 3600
"""Seconds that a child may take."""

children = 0


@nectar.on_request
async def handle(request: nectar.Request) -> object:
    global children
    match request.json():
        case {"Do": dict(order)}:
            job = json.decode(Job, order)
        case _:
            raise nectar.Refused('expected {"Do":JOB}')
    if job.below > MAX_BELOW:
        raise nectar.Refused("a job goes up to 1,000,000 at most")
    if children == MAX_CHILDREN:
        return "Busy"
    try:
        child = nectar.Address("our", kernel.spawn("/child.wasm"))
    except nectar.SpawnFailed:
        raise nectar.Refused("no child could be started") from None
    children += 1
    try:
        return (await node.ask(child, request.body, timeout=PATIENCE)).body
    except nectar.SendError:
        return "Crashed"
    finally:
        children -= 1
