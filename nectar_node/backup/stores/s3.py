"""A bucket of an S3-compatible store as a remote, through obstore (the extra `s3`).

Credentials come from where they do for other programs: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their like. The URL
is `s3://BUCKET/PREFIX`, with `?endpoint=http://HOST:PORT` for a store that is not Amazon's, and `?region=NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed
from nectar_node.backup.format.limits import MAX_OBJECTS
from nectar_node.backup.format.names import HEADS
from nectar_node.backup.operations import Listed
from nectar_node.base.errors import BadInput

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, NotSupportedError, PreconditionError
    from obstore.store import S3Store
except ImportError as missing:
    raise BadInput("For backups in S3, install the extra: pip install 'nectar-node[s3]'.") from missing

_TIMEOUT = timedelta(seconds=60)
"""For one request: a pack of 8 MiB at 150 KiB/s."""
_MAX_RETRIES = 5
_RETRIES = timedelta(seconds=90)
"""For one operation with all its retries; after that, the run ends and the next one goes on."""
_MISSING = (NotFoundError, FileNotFoundError)
"""What is raised for an object that is not there, depending on the call."""
_REFUSED = "status code: 4"
"""In what is said of a request that the store does not like: 416 for a range that an object does not have, or 400."""
_OPTIONS = ("endpoint", "region")


class S3Remote:
    """A remote below a prefix in a bucket."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        unknown = sorted(options.keys() - set(_OPTIONS))
        if unknown:
            raise BadInput(f"{url!r} has an unknown option {unknown[0]!r}: there are {', '.join(_OPTIONS)}.")
        endpoint = options.get("endpoint")
        self._url = f"s3://{parts.netloc}{parts.path}"
        try:
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                endpoint=endpoint,
                region=options.get("region"),
                client_options={
                    "timeout": _TIMEOUT,
                    "allow_http": endpoint is not None and endpoint.startswith("http://"),
                },
                retry_config={"max_retries": _MAX_RETRIES, "retry_timeout": _RETRIES},
            )
        except (BaseError, ValueError) as error:
            raise BadInput(f"{url!r} cannot be used: {_first_line(error)}.") from error

    def __str__(self) -> str:
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """Store an object; the store itself refuses a name that is taken, if it knows conditional puts."""
        with self._refusals(name):
            if name.startswith(HEADS) and self._is_there(name):  # some stores ignore the condition
                raise ObjectExists(name)
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except (NotImplementedError, NotSupportedError):  # others refuse it: names are random, and one node writes
                obstore.put(self._store, name, data, use_multipart=False)

    def get(self, name: str, start: int, length: int) -> bytes:
        """Read a part of an object."""
        with self._refusals(name):
            try:
                return self._part(name, start, length)
            except _MISSING:
                raise
            except BaseError as error:
                if _REFUSED not in str(error):
                    raise
            # It begins behind the end of the object; some stores also refuse what only ends there.
            left = self._size(name) - start
            return self._part(name, start, min(left, length)) if left > 0 else b""

    def list(self, prefix: str) -> list[Listed]:
        """Return the objects below a prefix."""
        found = []
        with self._refusals(prefix):
            for part in obstore.list(self._store, prefix=prefix.rstrip("/"), chunk_size=1000):
                found += [Listed(each["path"], each["size"]) for each in part]
                if len(found) > MAX_OBJECTS:
                    break
        return found

    def delete(self, name: str) -> None:
        """Remove an object."""
        with self._refusals(name):
            try:
                obstore.delete(self._store, name)
            except _MISSING:
                return

    def _part(self, name: str, start: int, length: int) -> bytes:
        data = bytearray()
        for piece in obstore.get(self._store, name, options={"range": (start, start + length)}):
            data += piece
            if len(data) > length:  # a store that sends more than it was asked for is not listened to
                raise RemoteFailed(f"{self._url} sends more of {name} than it was asked for.")
        return bytes(data)

    def _is_there(self, name: str) -> bool:
        try:
            self._size(name)
        except _MISSING:
            return False
        return True

    def _size(self, name: str) -> int:
        return obstore.head(self._store, name)["size"]

    @contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise ObjectExists(name) from None
        except _MISSING:
            raise ObjectMissing(name) from None
        except (BaseError, OSError, ValueError) as error:
            raise RemoteFailed(f"{self._url} cannot be used: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ")[:300]
