"""Greets whoever asks, or asks hello on another node to do so and tells what came of it.

{"Greet": "Ada"}                              →  {"Greeting": "Hello, Ada, from one.nec"}
{"Ask": {"node": "two.nec", "name": "Ada"}}   →  {"Answered": {"body": {"Greeting": "Hello, Ada, from two.nec"}}}
                                                 or {"Failed": {"kind": "Offline"}}
"""

import logging
from dataclasses import dataclass

import nectar
from nectar import node


@dataclass
class Ask:
    """Have `node` greet `name`; give up after `timeout` seconds."""

    node: str
    name: str
    timeout: int = 5


@nectar.on_request
async def answer(request: nectar.Request) -> object:
    match request.json():
        case {"Greet": str(name)}:
            return {"Greeting": f"Hello, {name}, from {node.our().node}"}
        case {"Ask": dict(ask)}:
            return await ask_other(nectar.json.decode(Ask, ask))
    raise nectar.Refused("not a Greet or an Ask")


async def ask_other(ask: Ask) -> object:
    other = nectar.Address(ask.node, node.our().process)
    try:
        response = await node.ask(other, {"Greet": ask.name}, timeout=ask.timeout)
    except nectar.SendError as error:
        logging.info("no greeting: %s", error)
        return {"Failed": {"kind": type(error).__name__}}
    return {"Answered": {"body": response.json()}}
