"""(trio) The server of the testnet's page: the node's HTTP server with another application behind it.

What waits for processes and files is done in threads. Snapshots go out as server-sent events: each page that follows
gets the newest one when it has taken the one before, so that who is slow skips some and holds up nobody.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import trio

from nectar_node.base import log
from nectar_node.contract.config import LOOPBACK, HttpPlace
from nectar_node.contract.http import HttpAnswer, HttpEvent, HttpHead, HttpReadWhole, HttpRequest
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.driver.browsers.door_sockets import DoorSocket, open_door
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.driver.browsers.http_door import HttpDoor
from nectar_node.http.pages import SAFETY, PageAnswer
from nectar_node.http.sessions import WebSessions
from nectar_node.launcher.local_network import LocalNetwork
from testnet.watch.figures import History
from testnet.watch.pollers import Pollers
from testnet.watch.sample import sample
from testnet.watch.snapshot import NodeState, Snapshot
from testnet.web.carry_out import Hands
from testnet.web.chaos_runs import ChaosRuns
from testnet.web.feed import PageFeed, bounded
from testnet.web.files import page_files
from testnet.web.site import Follows, PageOrder, PageSite, PageView, refusal, value

MAX_CONNECTIONS = 200
"""Connections at a time; a browser has at most six."""
MAX_FOLLOWERS = 64
"""Pages that follow at a time."""
MAX_UNDER_WAY = 16
"""Orders and look-ups that are being carried out."""
PATIENCE = 600.0
"""Seconds in which chaos ends, with its last outcomes, when the server is to end."""


class WatchDoor(HttpDoor):
    """The HTTP server of the testnet's page."""

    def __init__(
        self, opened: DoorSocket, site: PageSite, hands: Hands, note: Callable[[str, BaseException], None]
    ) -> None:
        super().__init__(opened, MAX_CONNECTIONS, self._take, note, MemoryBudget(DEFAULT_BYTES))
        self._url = opened.url
        self._site = site
        self._hands = hands
        self._failed = note
        self._feed = PageFeed()
        self._told = trio.Event()
        """Set when there is something newer."""
        self._followers = 0
        self._under_way = trio.CapacityLimiter(MAX_UNDER_WAY)
        self._nursery: trio.Nursery | None = None

    def link(self) -> str:
        """Return a link that signs in once."""
        return self._site.link(self._url, trio.current_time())

    def is_good(self, link: str) -> bool:
        """Whether a link can still be used."""
        return self._site.sessions.is_good(link.rpartition("=")[2], trio.current_time())

    def tell(self, name: str, told: object) -> None:
        """Send an event to all pages that follow."""
        self._feed.tell(name, told)
        self._told.set()
        self._told = trio.Event()

    async def serve(self) -> None:
        """Serve browsers until cancelled."""
        async with trio.open_nursery() as self._nursery:
            await super().serve()

    # --- requests ---------------------------------------------------------------------------------------------------

    def _take(self, event: HttpEvent) -> None:
        if isinstance(event, HttpHead):
            self.perform(HttpReadWhole(event.request.token))
        if not isinstance(event, HttpRequest):
            return
        wanted = self._site.take(event, trio.current_time())
        if isinstance(wanted, PageAnswer):
            self._answer_with(event.token, wanted)
        elif isinstance(wanted, Follows):
            self._begin_to_follow(event.token)
        elif isinstance(wanted, PageOrder) and wanted.name == "link":
            self._answer_with(event.token, value({"url": self.link()}))
        elif self._nursery is None or self._under_way.statistics().tasks_waiting >= MAX_UNDER_WAY:
            self._answer_with(event.token, refusal(503, "Busy", "Too much is being done already: wait a little."))
        else:
            self._nursery.start_soon(self._carry_out, event.token, wanted)

    def _answer_with(self, token: object, answer: PageAnswer) -> None:
        self.perform(HttpAnswer(token, *answer))

    async def _carry_out(self, token: object, wanted: PageOrder | PageView) -> None:
        try:
            answer = await trio.to_thread.run_sync(
                self._hands.carry_out, wanted, abandon_on_cancel=True, limiter=self._under_way
            )
        except Exception as error:
            self._failed("the page of the testnet", error)
            answer = refusal(500, "Failed", "This has failed: the terminal says why.")
        self._answer_with(token, answer)

    # --- snapshots --------------------------------------------------------------------------------------------------

    def _begin_to_follow(self, token: object) -> None:
        if self._nursery is None or self._followers >= MAX_FOLLOWERS:
            self._answer_with(token, refusal(503, "Busy", f"{MAX_FOLLOWERS} pages follow already: close one."))
            return
        self._followers += 1
        scope = trio.CancelScope()
        headers = (("content-type", "text/event-stream"), ("cache-control", "no-store"), *SAFETY)
        feed = DoorFeed(token, headers, scope.cancel)
        self.perform(feed)
        self._nursery.start_soon(self._send_news, feed, scope)

    async def _send_news(self, feed: DoorFeed, scope: trio.CancelScope) -> None:
        try:
            with scope, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await feed.send(b"retry: 1000\n\n")
                seen = 0
                while True:
                    newer = self._told
                    seen, data = self._feed.news(seen)
                    if data:
                        await feed.send(data)
                    else:
                        await newer.wait()
        finally:
            self._followers -= 1


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How the page is served."""

    port: int
    """0: any free one."""
    interval: float
    """Seconds between two snapshots."""


def serve_page(
    network: LocalNetwork,
    pollers: Pollers,
    options: WebOptions,
    opened: Callable[[Callable[[], str], Callable[[str], bool]], None],
    say: Callable[[str], None],
) -> None:
    """Serve the page until Ctrl-C. `opened` is called in a thread of its own with what gives links, and what says
    whether one can still be used; `say` is given sentences. Raises CannotListen."""
    door = open_door(HttpPlace(LOOPBACK, options.port), "--port")
    trio.run(_serve, network, pollers, options.interval, door, opened, say)


async def _serve(
    network: LocalNetwork,
    pollers: Pollers,
    interval: float,
    opened: DoorSocket,
    told: Callable[[Callable[[], str], Callable[[str], bool]], None],
    say: Callable[[str], None],
) -> None:
    chaos = ChaosRuns(network)
    site = PageSite(opened.port, page_files(), WebSessions(lambda: secrets.randbits(64)))
    door = WatchDoor(opened, site, Hands(network, chaos), _note)
    token = trio.lowlevel.current_trio_token()

    def link() -> str:
        return trio.from_thread.run_sync(door.link, trio_token=token)

    def is_good(link: str) -> bool:
        with suppress(trio.RunFinishedError):
            return trio.from_thread.run_sync(door.is_good, link, trio_token=token)
        return False

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.serve)
            nursery.start_soon(_look, door, network, pollers, interval, chaos, say)
            threading.Thread(target=told, args=(link, is_good), name="links", daemon=True).start()
            await anext(signals)
            if chaos.runs:
                say("Ending the chaos, with a report; a second Ctrl-C does not wait for the last outcomes.")
                nursery.start_soon(_hurry, signals, chaos)
                chaos.end()
                await trio.to_thread.run_sync(chaos.wait, PATIENCE)
                say(chaos.last())
            await door.close()
            nursery.cancel_scope.cancel()


async def _hurry(signals: object, chaos: ChaosRuns) -> None:
    async for _ in signals:  # type: ignore[attr-defined]
        chaos.end()


async def _look(
    door: WatchDoor,
    network: LocalNetwork,
    pollers: Pollers,
    interval: float,
    chaos: ChaosRuns,
    say: Callable[[str], None],
) -> None:
    """Send snapshots as they come."""
    history, was_down = History(), False
    while True:
        picture = pollers.picture()
        is_down = down(picture)
        if is_down and not was_down:
            say(sentence_of_down(network))
        was_down = is_down
        look = bounded(sample(history.add(picture), datetime.now(UTC)))
        door.tell("look", {**look, "folder": str(network.folder), "down": sentence_of_down(network) if is_down else ""})
        door.tell("chaos", chaos.value())
        await trio.sleep(interval)


def down(picture: Snapshot) -> bool:
    """Whether no node of a testnet runs."""
    return all(node.state is NodeState.DOWN for node in picture.nodes)


def sentence_of_down(network: LocalNetwork) -> str:
    """Return what is the matter and what to do."""
    return f"The testnet in {network.folder} is down: start it with `{network.command('testnet up')}`."


def _note(where: str, error: BaseException) -> None:
    log.write_line("watch", f"{where} has failed: {type(error).__name__}: {error}")
