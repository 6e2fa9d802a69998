"""Which remote a URL means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from nectar_node.backup.operations import Remote
from nectar_node.backup.stores.folder import FolderRemote
from nectar_node.base.errors import BadInput


def full_url(text: str) -> str:
    """Return a URL as it is kept: a path becomes an absolute one. Raises BadInput."""
    scheme = urlsplit(text).scheme if "://" in text else "file"
    if scheme not in ("file", "s3"):
        raise BadInput(f"{text!r} is not a place for backups: expected a folder, or s3://BUCKET/PREFIX.")
    if scheme == "s3":
        if not urlsplit(text).netloc:
            raise BadInput(f"{text!r} names no bucket: expected s3://BUCKET/PREFIX.")
        return text
    path = text.removeprefix("file://")
    if not path:
        raise BadInput(f"{text!r} names no folder.")
    return str(Path(path).absolute())


def open_remote(url: str, *, writes: bool = False, makes: bool = False) -> Remote:
    """Return the remote of a full URL; it is made if it `makes`, and tidied if it `writes`.

    Raises BadInput and RemoteFailed.
    """
    if url.startswith("s3://"):
        from nectar_node.backup.stores.s3 import S3Remote  # an extra, which takes a tenth of a second to load

        return S3Remote(url)
    remote = FolderRemote(Path(url))
    if makes or (writes and Path(url).is_dir()):
        remote.make()
    return remote
