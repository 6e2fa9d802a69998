"""Write Nectar processes in Python.

    import nectar

    @nectar.on_request
    async def answer(request: nectar.Request) -> object:
        return {"Echo": request.json()}

A process is a Python file with a handler, as here, or with a function `init(our)` that calls `nectar.kernel.receive`
in a loop of its own. It is imported while it is built, and runs from a picture of the memory after that.
"""

from nectar import json as json
from nectar import kernel as kernel
from nectar import node as node
from nectar.address import Address as Address
from nectar.address import BadAddress as BadAddress
from nectar.address import ProcessId as ProcessId
from nectar.errors import BadJson as BadJson
from nectar.errors import BadState as BadState
from nectar.errors import NameTaken as NameTaken
from nectar.errors import NectarError as NectarError
from nectar.errors import NoFileAtPath as NoFileAtPath
from nectar.errors import Refused as Refused
from nectar.errors import SpawnFailed as SpawnFailed
from nectar.json import Json as Json
from nectar.messages import Blob as Blob
from nectar.messages import Capability as Capability
from nectar.messages import Offline as Offline
from nectar.messages import OnExit as OnExit
from nectar.messages import OnExitRequest as OnExitRequest
from nectar.messages import Outgoing as Outgoing
from nectar.messages import Reply as Reply
from nectar.messages import Request as Request
from nectar.messages import Response as Response
from nectar.messages import SendError as SendError
from nectar.messages import Timeout as Timeout
from nectar.node import Signal as Signal
from nectar.node import gather as gather
from nectar.node import on_request as on_request
from nectar.node import on_start as on_start
from nectar.state import State as State
from nectar.state import migration as migration
