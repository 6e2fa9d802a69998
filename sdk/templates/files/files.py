"""Notes as files, which other nodes may read.

{"Write": {"name": "a", "text": "x"}}  →  "Written"      on this node alone; it is on the disk then
{"Read": "a"}  →  {"Text": "x"} or "Missing"             from any node
"""

import re

import nectar
from nectar import node, vfs

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""Of a note. What others say is no path: it could lead anywhere."""


@nectar.on_start
def start() -> None:
    vfs.create_drive(vfs.drive("notes")).wait()  # before any request is handled


@nectar.on_request
async def answer(request: nectar.Request) -> object:
    match request.json():
        case {"Write": {"name": str(name), "text": str(text)}} if request.source.node == node.our().node:
            await vfs.write(path(name), text.encode())
            await vfs.sync(path(name))
            return "Written"
        case {"Read": str(name)}:
            try:
                return {"Text": (await vfs.read(path(name))).decode()}
            except vfs.NotFound:
                return "Missing"
    raise nectar.Refused("not a Write of this node, or a Read")


def path(name: str) -> str:
    if not NAME.fullmatch(name):
        raise nectar.Refused("a name is letters, digits, - and _")
    return f"{vfs.drive('notes')}/{name}.txt"
