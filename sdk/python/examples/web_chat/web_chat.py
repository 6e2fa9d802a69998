"""A chat with a page: people type in browsers, the page and this process talk over a WebSocket, and the processes of
two nodes by messages.

    browser                             this process                       web_chat of two.nec
    {"Say":{"to":"two.nec","text":"Hi"}}  →
                 ←  {"Line":{…,"state":"Sent"}}
                                        {"Line":{"number":1,"text":"Hi"}}  →
                                                                           ←  "Heard"
                 ←  {"Line":{…,"state":"Heard"}}

A line that did not get there is shown as Offline, or Timeout if nobody knows whether it did. {"Again":1} sends it once
more, under the number that it had: whoever has heard it already answers and does not show it twice. Lines are saved
before anybody is told of them, so both ends of a conversation outlive a crash.
"""

from dataclasses import dataclass, field
from pathlib import Path

import nectar
from nectar import http, json, node

PATIENCE = 30
"""Seconds for a line to another node: long enough to learn that it is Offline."""
MAX_NAME_BYTES = 253
MAX_TEXT_BYTES = 1000
MAX_LINES = 200


@dataclass
class Line:
    """A line of ours, or of another node."""

    id: int
    """Its number among all lines here."""
    node: str
    """Whom we talk to: who said it or, if it is ours, for whom it is."""
    mine: bool
    number: int
    """Among all lines of its author."""
    text: str
    state: str
    """Sent, Heard, Offline, Timeout or Refused."""


@dataclass
class Chat(nectar.State):
    """The last lines, in the order in which they came."""

    lines: list[Line] = field(default_factory=list)
    last: int = 0
    """The id of the last line."""
    said: int = 0
    """The number of our own last one."""

    def add(self, node: str, mine: bool, number: int, text: str, state: str) -> Line:
        with self:
            self.last += 1
            self.said += mine
            line = Line(self.last, node, mine, number, text, state)
            self.lines = [*self.lines, line][-MAX_LINES:]
        return line

    def find(self, id: int) -> Line | None:
        return next((line for line in self.lines if line.id == id), None)


chat = Chat()
pages = http.WebSockets("/lines", authenticated=True)

here = Path(__file__).parent
for path, name, mime in (
    ("/", "page.html", "text/html; charset=utf-8"),
    ("/page.css", "page.css", "text/css"),
    ("/page.js", "page.js", "text/javascript"),
):
    http.serve(path, (here / name).read_bytes(), mime, authenticated=True)


@nectar.on_start
def start() -> None:
    global chat
    chat = Chat.load()
    # The node's homepage need not be there, so nobody waits for its answer.
    nectar.kernel.send("our@homepage:homepage:sys", {"Add": {"label": "Chat", "path": "/"}})
    for line in chat.lines:
        if line.state == "Sent":  # by an earlier life of ours
            settle(line.id, "Timeout")


# --- browsers


@pages.on_open
def opened(page: http.Channel) -> None:
    page.send({"Hello": {"node": node.our().node, "lines": chat.lines}})


@pages.on_message
async def obey(page: http.Channel, order: str | bytes) -> None:
    """Do what a page wants, or say why not."""
    try:
        line = line_for(json.loads(order))
    except nectar.NectarError as error:
        page.send({"Err": str(error)})
        return
    pages.send_all({"Line": line})
    settle(line.id, await say(line))


def line_for(order: object) -> Line:
    """The line that a page wants to be sent; raises Refused."""
    match order:
        case {"Say": {"to": str(to), "text": str(text)}}:
            if not 1 <= len(to.encode()) <= MAX_NAME_BYTES:
                raise nectar.Refused("Say the name of a node, such as two.nec.")
            if to == node.our().node:
                raise nectar.Refused("That is this node itself: name another one.")
            if not 1 <= len(text.encode()) <= MAX_TEXT_BYTES:
                raise nectar.Refused("A line has 1 to 1,000 bytes.")
            return chat.add(to, True, chat.said + 1, text, "Sent")
        case {"Again": int(id)}:
            line = chat.find(id)
            if line is None:
                raise nectar.Refused("That line is not kept any more.")
            if not line.mine or line.state in ("Sent", "Heard"):
                raise nectar.Refused("That line is not one to send again.")
            line.state = "Sent"
            chat.save()
            return line
    raise nectar.Refused("That is no order that this chat knows.")


def settle(id: int, state: str) -> None:
    """Tell what became of a line, unless so many have come since that it is not kept."""
    if line := chat.find(id):
        line.state = state
        chat.save()
        pages.send_all({"Line": line})


# --- other nodes


async def say(line: Line) -> str:
    """Send a line; what became of it."""
    target = nectar.Address(line.node, node.our().process)
    try:
        response = await node.ask(target, {"Line": {"number": line.number, "text": line.text}}, timeout=PATIENCE)
        return "Heard" if response.json() == "Heard" else "Refused"
    except nectar.SendError as error:
        return type(error).__name__
    except nectar.BadJson:
        return "Refused"


@nectar.on_request
def hear(request: nectar.Request) -> str:
    author = request.source.node
    match request.json():
        case {"Line": {"number": int(number), "text": str(text)}}:
            if author == node.our().node:
                raise nectar.Refused("lines come from other nodes")
            if not 1 <= len(text.encode()) <= MAX_TEXT_BYTES:
                raise nectar.Refused("a line has 1 to 1,000 bytes")
            if not any((line.node, line.number, line.mine) == (author, number, False) for line in chat.lines):
                pages.send_all({"Line": chat.add(author, False, number, text, "Heard")})
            return "Heard"
    raise nectar.Refused("expected a Line")
