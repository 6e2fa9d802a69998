"""Which remote a URL means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from nectar_node.backup.operations import Remote
from nectar_node.backup.stores.folder import FolderRemote
from nectar_node.backup.stores.node_messages import SCHEME
from nectar_node.backup.stores.node_remote import Messenger, NodeRemote
from nectar_node.base.errors import BadInput
from net.base.node_names import is_node_name


def full_url(text: str) -> str:
    """Return a URL as it is kept: a path becomes an absolute one. Raises BadInput."""
    scheme = urlsplit(text).scheme if "://" in text else "file"
    if scheme not in ("file", "s3", "node"):
        raise BadInput(f"{text!r} is not a place for backups: expected a folder, s3://BUCKET/PREFIX, or node://NAME.")
    if scheme == "node":
        keeper = text.removeprefix(SCHEME)
        if not is_node_name(keeper):
            raise BadInput(f"{text!r} names no node: expected node://NAME, such as node://keeper.nec.")
        return text
    if scheme == "s3":
        if not urlsplit(text).netloc:
            raise BadInput(f"{text!r} names no bucket: expected s3://BUCKET/PREFIX.")
        return text
    path = text.removeprefix("file://")
    if not path:
        raise BadInput(f"{text!r} names no folder.")
    return str(Path(path).absolute())


def open_remote(url: str, *, writes: bool = False, makes: bool = False, messenger: Messenger | None = None) -> Remote:
    """Return the remote of a full URL; it is made if it `makes`, and tidied if it `writes`.

    `messenger` reaches other nodes, in the name of the node whose backup it is. Raises BadInput and RemoteFailed.
    """
    if url.startswith(SCHEME):
        if messenger is None:
            raise BadInput(f"{url} is reached through a node of its network: there is none here.")
        return NodeRemote(url.removeprefix(SCHEME), messenger.node, messenger)
    if url.startswith("s3://"):
        from nectar_node.backup.stores.s3 import S3Remote  # an extra, which takes a tenth of a second to load

        return S3Remote(url)
    remote = FolderRemote(Path(url))
    if makes or (writes and Path(url).is_dir()):
        remote.make()
    return remote
