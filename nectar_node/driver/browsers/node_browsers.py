"""All that a running node has for browsers: the door, and what their requests need beside the core.

Hypercorn and what it brings take a tenth of a node's start, so this is loaded by nodes that serve HTTP alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from nectar_node.base import log
from nectar_node.base.descriptors import Budget
from nectar_node.contract.config import HttpPlace, NodeConfig
from nectar_node.contract.http import (
    BROWSER_ACTIONS,
    CheckPassword,
    HttpCommand,
    HttpEvent,
    PasswordChecked,
    StartUpload,
    UploadStarted,
)
from nectar_node.control.commands import Control
from nectar_node.core.core import NodeCore
from nectar_node.driver.browsers.door_sockets import open_door
from nectar_node.driver.browsers.http_door import HttpDoor
from nectar_node.driver.browsers.node_api import NodeApi
from nectar_node.driver.browsers.uploads import start_upload


class NodeBrowsers:
    """The browsers of a running node."""

    def __init__(
        self,
        config: NodeConfig,
        place: HttpPlace,
        budget: Budget,
        core: NodeCore,
        turn: Callable[[], None],
        is_password: Callable[[bytes], bool],
        note: Callable[[str, BaseException], None],
    ) -> None:
        """Listen at `place`, where nobody is answered yet; raises CannotListen with what to do.

        `turn` lets the node run after it was told something; `is_password` takes its time on a thread; `note` logs a
        failure of our own code.
        """
        opened = open_door(place)
        self.url = opened.url
        """What people give to their browsers."""
        self._door = HttpDoor(opened, budget.browsers, self._tell, note, core.memory, budget.sockets)
        self._config = config
        self._core = core
        self._turn = turn
        self._is_password = is_password
        self._note = note

    def begin(self, commands: Control, nursery: trio.Nursery) -> dict[type, Callable[..., None]]:
        """Return what carries out the core's actions, by their types, with tasks in `nursery`."""
        self._commands = commands
        api = NodeApi(commands, nursery, self._door.perform, self._goes_on, self._note)
        return {
            **dict.fromkeys(BROWSER_ACTIONS, self._door.perform),
            HttpCommand: api.take,
            CheckPassword: lambda check: nursery.start_soon(self._check_password, check),
            StartUpload: lambda upload: nursery.start_soon(self._start_upload, upload),
        }

    async def serve(self) -> None:
        """Answer browsers until cancelled."""
        await self._door.serve()

    async def close(self) -> None:
        """Give out the answers that are under way, and close all connections: the node goes down."""
        await self._door.close()

    def _tell(self, event: HttpEvent) -> None:
        self._core.http(event, trio.current_time())
        self._turn()

    def _goes_on(self, command: HttpCommand) -> bool:
        return self._core.sessions.lasts(command.session, trio.current_time())

    async def _check_password(self, check: CheckPassword) -> None:
        right = await trio.to_thread.run_sync(self._is_password, check.password, abandon_on_cancel=True)
        self._tell(PasswordChecked(check.token, right))

    async def _start_upload(self, upload: StartUpload) -> None:
        folder, client = self._config.folder.path, self._commands.connected(_say_nothing)
        answer = partial(self._commands.answer_untrusted, client)
        problem = await start_upload(upload, self._config.name, folder, answer)
        if problem is not None:
            log.write_line("http", f"a package that was sent is not started: {problem}")
        self._tell(UploadStarted(upload.token, problem))


async def _say_nothing(_: bytes) -> None:
    """Be the client of a command that sends events, and want none."""
