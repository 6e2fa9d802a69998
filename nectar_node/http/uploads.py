"""The developer kits' `start-package`: a zip comes as a message to the app store, then the order to install it.

This node has no app store. A program that may send messages in the user's name may start packages in it, so the door
for these messages starts such a package as `nectar start` would: with the same questions, which nobody is there to
answer, so what the package may not have without is refused in the sentence that says what to type.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from kernel.contract.address import OUR_NODE, PackageId, ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.message import Buffer
from nectar_node.contract.http import HttpAnswer, StartUpload, UploadStarted
from nectar_node.contract.json_shapes import RequestRefused, field_untrusted, load_untrusted, variant_untrusted
from nectar_node.http import rpc
from nectar_node.http.pages import PageAnswer

STORES = frozenset(ProcessId("main", package, "sys") for package in ("app_store", "app-store"))
"""The store by its names in two generations."""
MAX_UPLOADS = 8
"""Zips that wait to be installed; the oldest goes."""
MAX_UPLOAD_BYTES = 64 << 20
"""Bytes of these together: of one alone as many as a program can send."""
_MAX_ORDER_BYTES = 1 << 20


class _Upload(NamedTuple):
    data: Buffer
    digest: str


class Uploads:
    """The zips that have come and are not installed yet."""

    def __init__(self, our: str) -> None:
        self._our = our
        self._waiting: dict[PackageId, _Upload] = {}
        """The oldest first."""
        self._starting: set[object] = set()

    def is_for_store(self, message: rpc.RpcMessage) -> bool:
        """Whether a message is for the app store of this node."""
        return message.target.process in STORES and message.target.node in (OUR_NODE, self._our)

    def take(self, token: object, message: rpc.RpcMessage) -> PageAnswer | StartUpload:
        """Return the answer to a message for the store, or what has to be done for it first."""
        try:
            name, fields = variant_untrusted(load_untrusted(message.request.body, _MAX_ORDER_BYTES))
            if name not in ("NewPackage", "Install"):
                raise RequestRefused(f"this node has no app store, and its door knows no {name[:40]!r}")
            package = _package_untrusted(fields)
            if name == "NewPackage":
                return self._keep(package, message)
            return self._install(token, package, fields)
        except RequestRefused as refusal:
            return rpc.answered(json.dumps({"Err": str(refusal)}).encode())

    def started(self, event: UploadStarted) -> HttpAnswer | None:
        """Take what has come of a StartUpload, and return the answer to the program."""
        if event.token not in self._starting:
            return None
        self._starting.discard(event.token)
        return HttpAnswer(event.token, *_told("InstallResponse", event.problem))

    def gone(self, token: object) -> None:
        """Forget whom to answer."""
        self._starting.discard(token)

    def _keep(self, package: PackageId, message: rpc.RpcMessage) -> PageAnswer:
        if message.blob is None:
            return _told("NewPackageResponse", "there is no blob with the package's zip")
        data = message.blob.bytes
        self._waiting.pop(package, None)
        self._waiting[package] = _Upload(data, hashlib.sha256(data).hexdigest())
        while (
            len(self._waiting) > MAX_UPLOADS
            or sum(len(each.data) for each in self._waiting.values()) > MAX_UPLOAD_BYTES
        ):
            del self._waiting[next(iter(self._waiting))]
        return _told("NewPackageResponse", None if self._waiting else "the zip is too large")

    def _install(self, token: object, package: PackageId, fields: object) -> PageAnswer | StartUpload:
        upload = self._waiting.get(package)
        if upload is None:
            return _told("InstallResponse", f"no zip of {package} has come: send NewPackage first")
        wanted = fields.get("version_hash") if isinstance(fields, dict) else None
        if wanted is not None and wanted != upload.digest:
            return _told("InstallResponse", f"the zip of {package} that has come is another one, by its hash")
        del self._waiting[package]
        self._starting.add(token)
        return StartUpload(token, package, upload.data)


def told_how(problem: str, path: object, our: str) -> str:
    """Return why a package was not started, with what its user types who wants it all the same; `path` is its zip's."""
    return f"{problem} The command for that is `nectar start {path} --node {our}`; after it this works, too."


def _package_untrusted(fields: object) -> PackageId:
    """Return the package of an order: early kits have it in the order itself when they install."""
    place = fields
    if isinstance(fields, dict):
        place = fields.get("package_id", fields.get("package", fields))
    name, publisher = field_untrusted(place, "package_name"), field_untrusted(place, "publisher_node")
    try:
        return PackageId.parse(f"{name}:{publisher}")
    except BadAddress as error:
        raise RequestRefused(str(error)) from None


def _told(response: str, problem: str | None) -> PageAnswer:
    answer = {response: "Success"} if problem is None else {response: "Failure", "error": problem}
    return rpc.answered(json.dumps(answer).encode())
