"""Lines between nodes.

{"Say": {"to": "two.nec", "text": "Hi"}}  →  "Heard", or {"Missed": "Offline"} if it did not get there
"Lines"  →  {"Lines": [{"node": "one.nec", "text": "Hi"}]}      what this node has heard, the last 100

{"Missed": "Timeout"} means that nobody knows: the line may have been heard, and the word of it was lost.
"""

from collections import deque

import nectar
from nectar import node

PATIENCE = 30
"""Seconds for a line to another node: long enough to learn that it is Offline."""

lines: deque[dict[str, str]] = deque(maxlen=100)


@nectar.on_request
async def answer(request: nectar.Request) -> object:
    match request.json():
        case {"Say": {"to": str(to), "text": str(text)}} if request.source.node == node.our().node:
            return await say(to, text)
        case "Lines":
            return {"Lines": list(lines)}
        case {"Line": str(text)}:  # from this process on another node; which one, the kernel knows
            lines.append({"node": request.source.node, "text": text})
            return "Heard"
    raise nectar.Refused('not a Say of this node, a Line or "Lines"')


async def say(to: str, text: str) -> object:
    try:
        response = await node.ask(nectar.Address(to, node.our().process), {"Line": text}, timeout=PATIENCE)
    except nectar.SendError as error:
        return {"Missed": type(error).__name__}
    return response.json()
