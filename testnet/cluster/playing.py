"""What runs in a worker of the cluster: plays plans in processes of their own, with the code that travelled.

A worker of Dask has the same version of this project installed, and runs nothing of it but this. Each plan is played by
a process (`testnet.sweep.worker`) of the code in the zip, so that what breaks it does not break the worker.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from nectar_node.base.decoding import BadShape
from nectar_node.contract.config import user_cache
from testnet.cluster.archive import BadCargo, unpack_untrusted
from testnet.cluster.messages import (
    MAX_TEXT,
    ClusterAnswer,
    ClusterOrder,
    encode,
    objection,
    read_order_untrusted,
    version_of,
)
from testnet.journal.journal import JournalEnd
from testnet.model.travelled import FOLDER_VARIABLE
from testnet.sweep.verdict import DIED
from testnet.sweep.workers import Worker

KEPT_SECONDS = 30.0
"""For how long a process waits for its next plan at least; at most twice that."""
FORGOTTEN_SECONDS = 14 * 86_400
"""After which time without use an unpacked zip is removed."""

_Key = tuple[str, str, str]
"""The hashes of code and files, and the folder."""


def carry(archive: bytes) -> bytes:
    """Return a zip: as the result of a task it is on the cluster, and can be had again if who held it dies."""
    return archive


def play(order: bytes, code: bytes, own: bytes) -> bytes:
    """Play the plans of an order, with these zips, and return the answer."""
    try:
        read = read_order_untrusted(order)
        if wrong := objection(read.versions, map(version_of, read.versions)):
            return _refuse(wrong)
        began = time.monotonic()
        with _process(read, code, own) as processes:
            ends = tuple(_played(processes, plan) for plan in read.plans)
    except (BadShape, BadCargo) as error:
        return _refuse(f"cannot read what it was sent: {error}")
    except OSError as error:
        return _refuse(f"cannot keep what it was sent: {error}")
    return encode(ClusterAnswer(ends, time.monotonic() - began))


def _refuse(why: str) -> bytes:
    from distributed import get_worker  # what does not run in a worker has no use for it

    return encode(ClusterAnswer(refused=f"the worker {get_worker().address} {why}"[:1000]))


class _Lease:
    """One process for one order; another one takes its place if it dies."""

    def __init__(self, key: _Key, code: Path, own: Path) -> None:
        self.key = key
        self._code, self._own = code, own
        self.worker = self.fresh()

    def fresh(self) -> Worker:
        folder = Path(self._own, *Path(self.key[2]).parts[1:])
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"PYTHONPATH": str(self._code), FOLDER_VARIABLE: str(self._own)}
        return Worker(environment, folder)


def _played(lease: _Lease, plan: dict[str, object]) -> JournalEnd:
    lease.worker.begin_value(plan)
    end = lease.worker.end()
    if end.result == DIED:
        lease.worker.close()
        lease.worker = lease.fresh()
    return replace(end, text=end.text[:MAX_TEXT])


_lock = threading.Lock()
_idle: list[tuple[float, _Lease]] = []
"""Processes that wait, since when."""


@contextmanager
def _process(order: ClusterOrder, code: bytes, own: bytes) -> Iterator[_Lease]:
    """Lend a process for an order; in the end it waits for the next one."""
    key = (order.code, order.own, order.folder)
    with _lock:
        lease = next((each for _, each in _idle if each.key == key), None)
        _idle[:] = [(since, each) for since, each in _idle if each is not lease]
    if lease is None:
        within = _folder()
        lease = _Lease(key, unpack_untrusted(code, order.code, within), unpack_untrusted(own, order.own, within))
    try:
        yield lease
    except BaseException:
        lease.worker.close()
        raise
    with _lock:
        _idle.append((time.monotonic(), lease))
    _wake_later()


_waking = threading.Lock()
"""Held while a timer runs: one for all orders, since each is a thread."""


def _wake_later() -> None:
    if _waking.acquire(blocking=False):
        later = threading.Timer(KEPT_SECONDS, _wake)
        later.daemon = True
        later.start()


def _wake() -> None:
    _waking.release()
    _end_idle()
    with _lock:
        left = bool(_idle)
    if left:
        _wake_later()


def _end_idle(kept_seconds: float = KEPT_SECONDS) -> None:
    now = time.monotonic()
    with _lock:
        old = [each for since, each in _idle if now - since >= kept_seconds]
        _idle[:] = [(since, each) for since, each in _idle if each not in old]
    for lease in old:
        lease.worker.close()


@cache
def _folder() -> Path:
    """Return the folder of unpacked zips, without those that have not been used for long."""
    atexit.register(_end_idle, 0.0)
    folder = user_cache("cluster")
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="nectar-cluster-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for each in folder.iterdir():
        if time.time() - each.stat().st_mtime > FORGOTTEN_SECONDS:
            shutil.rmtree(each, ignore_errors=True)
    return folder
