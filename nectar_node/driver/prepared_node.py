"""What a node has before it waits for anything: folder, key, packages and what it kept; and the core made of these."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import trio

from kernel.contract.address import Address, PackageId
from kernel.contract.guest import GuestConfig
from kernel.contract.limits import MAX_MEMORY_BYTES
from kernel.wasm.binary.debug_file import SUFFIX as DEBUG_SUFFIX
from kernel.wasm.engine import Engine
from kernel.wasm.wasi.host_drive import HostDrive
from nectar_node.base import log, own_files
from nectar_node.base.descriptors import Budget
from nectar_node.base.errors import BadFolder, BadInput, BadPackage, NeedsConsent
from nectar_node.contract.config import NodeConfig, RecordPlace, module_cache
from nectar_node.contract.http_client import HttpClientConfig
from nectar_node.control.clock import wall_clock_offset
from nectar_node.core.core import NodeCore
from nectar_node.driver.allocator import default_budget
from nectar_node.driver.membership import former_names, has_password, open_directory, read_keys, registrar_key
from nectar_node.driver.node_store import OpenStore, open_store
from nectar_node.driver.program_code import kept_debug_file
from nectar_node.driver.snapshots import forget_snapshot
from nectar_node.http.fetching.wasi_client import WasiHttpClient
from nectar_node.packages.contents import check_digest, discard_unused, with_copy
from nectar_node.packages.decisions import Decision
from nectar_node.packages.manifest import Package
from nectar_node.packages.review import demand, review
from nectar_node.packages.startable import read_startable
from nectar_node.packages.unpacking import PACKAGES_FOLDER
from nectar_node.recording.accounts import TapedLedger
from nectar_node.recording.ring import RecordingFiles
from nectar_node.recording.segments import PURPOSE
from nectar_node.recording.start import CoreSources, FreshIds, NodeStart, core_of
from nectar_node.recording.taped_core import StepKind, Taped
from nectar_node.recording.values import encode
from nectar_node.sharing.wire.limits import DEFAULT_QUOTA
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Location, MakeFolder
from nectar_node.storage.removing import remove_unfinished_bodies
from net.base.ciphers import ALWAYS, listed
from net.base.limits import MAX_CONNECTIONS
from net.io.cipher_speed import faster
from net.names.directory import Directory
from net.names.keyfile import Keys


class PreparedNode:
    """What a node has before it waits for anything."""

    def __init__(
        self, config: NodeConfig, budget: Budget, lock: int, keys: Keys, opened: OpenStore, directory: Directory
    ) -> None:
        self.config = config
        self.budget = budget
        self.lock = lock
        self.identity = keys.identity
        self.previous = keys.previous
        self.directory = directory
        self.registrar = registrar_key(config, keys)
        self.ledger = Ledger(str(config.folder.drives), config.quotas, str(config.folder.kept))
        remove_unfinished_bodies(config.folder.drives)
        is_recorded = config.record is not None
        self.engine = Engine(module_cache(), replayable=is_recorded, quick_first=not is_recorded)
        self.database, self.kept = opened.database, opened.kept
        self.rows = opened.rows if is_recorded else {}
        """What the store held when it was opened; empty if nobody records that."""
        self.decided: list[tuple[PackageId, Decision]] = []
        """What its user has decided with the options of this boot."""
        self.recording = None if config.record is None else _begin_recording(config, config.record, keys)
        """The files that record what the core is told; None: nothing does."""
        self.decisions = self.kept.decisions
        named = [self._named(folder) for folder in config.packages]
        self.packages = (*map(self._decided, named), *self._started(named))
        self.before = dict(self._on_trial())
        _forget_code(config.folder.code, {remnant.digest for remnant in self.kept.processes})
        if not config.rescue:  # after which it is not known what was used
            kept = (Path(each.folder) for each in self.kept.packages.values())
            held = (Path(each) for each in self.kept.shelf.folders())
            used = (*kept, *held, *self.kept.installed.folders())
            read = (*self.packages, *self.before.values())
            discard_unused(config.folder.path, (*used, *(package.folder for package in read)))
        for package in self.packages:
            if package.unknown_keys:
                unknown = ", ".join(map(repr, package.unknown_keys))
                log.write_line("kernel", f"the manifest of {package.id} has unknown keys: {unknown}")

    def _named(self, folder: Path) -> Package:
        """Return the package in a folder that the options name, or its copy if that has moved away (G26)."""
        config = self.config
        try:
            return with_copy(read_startable(folder, config.name), config.folder.path)
        except BadPackage as error:
            for kept in self.kept.packages.values():
                if kept.origin is not None and Path(kept.origin) == folder:
                    log.write_line("kernel", f"{str(error).rstrip('.')}: its copy in {kept.folder} runs")
                    return replace(read_startable(Path(kept.folder), config.name), origin=folder)
            raise

    def _started(self, named: list[Package]) -> Iterator[Package]:
        """Yield the packages that the user has started at earlier boots, unless they are named now."""
        known = {package.id for package in named}
        for id, kept in self.kept.packages.items():
            if kept.started and id not in known:
                origin = None if kept.origin is None else Path(kept.origin)
                try:
                    package = replace(read_startable(Path(kept.folder), self.config.name), origin=origin)
                    yield self._decided(package)
                except (BadPackage, NeedsConsent) as error:
                    log.write_line("kernel", f"{id} does not run again: {error}")

    def _on_trial(self) -> Iterator[tuple[PackageId, Package]]:
        """Yield the versions before of those that were on trial when the node died."""
        for id, trial in ((id, kept.trial) for id, kept in self.kept.packages.items() if kept.trial is not None):
            try:
                package = read_startable(Path(trial.folder), self.config.name)
                check_digest(package, trial.digest)
                yield id, replace(package, origin=None if trial.origin is None else Path(trial.origin))
            except BadPackage as error:
                log.write_line("kernel", f"{id} cannot go back to the version before, should this one fail: {error}")

    def _decided(self, package: Package) -> Package:
        """Return the package as its user allows it; raises NeedsConsent if they have not said enough."""
        our, before = self.config.name, self.decisions.of(package.id)
        question, allowed, decision = review(package, before, self.config.consent, our)
        if question:
            raise demand(package, question, our)
        if decision is not None:
            self.decisions.decide(package.id, decision)
            self.decided.append((package.id, decision))
        return allowed


def _begin_recording(config: NodeConfig, record: RecordPlace, keys: Keys) -> RecordingFiles:
    """Make the files of a recording; raises BadFolder and BadInput."""
    if config.static is not None:
        raise BadInput("A node with --directory cannot be recorded: leave out --record.")
    try:
        return RecordingFiles(
            record.folder, config.name, keys.identity.derive(PURPOSE), version("nectar-node"), record.keep, time.time
        )
    except OSError as error:
        raise BadFolder(f"{error.filename or record.folder} cannot be used: {error.strerror}.") from error


def _forget_code(folder: Path, used: set[str]) -> None:
    """Remove the code of processes that do not run any more."""
    with suppress(OSError):
        for file in folder.iterdir():
            if file.name.removesuffix(DEBUG_SUFFIX) not in used:
                file.unlink()


def prepare(config: NodeConfig, budget: Budget) -> PreparedNode:
    """Make the node's folder ours, and read what is there; raises NodeError."""
    folder = config.folder
    try:
        folder.create()
        lock = folder.acquire()
        own_files.make_folder(folder.path / PACKAGES_FOLDER)
    except OSError as error:
        raise BadFolder(f"{error.filename or folder.path} cannot be used: {error.strerror}.") from error
    forget_snapshot(folder.path)
    keys = read_keys(config)
    if config.http is not None:
        budget = budget.with_browsers()
    opened = open_store(folder, config.name, lambda: former_names(config, keys), rescue=config.rescue)
    directory = open_directory(config, keys, opened.kept.names)
    return PreparedNode(config, budget, lock, keys, opened, directory)


def make_core(prepared: PreparedNode) -> NodeCore:
    """Return the core of a node that has been prepared; within trio, whose clock it goes by."""
    config, files = prepared.config, prepared.recording
    start = start_of(prepared)
    guest = partial(
        guest_config,
        config.folder.drives,
        prepared.budget.files_of_a_guest,
        _monotonic_clock(),
        debug=partial(kept_debug_file, perform, str(config.folder.code)),
    )
    entropy, clock, ledger = os.urandom, trio.current_time, prepared.ledger
    if files is None:
        sources = CoreSources(entropy, FreshIds(entropy).take, guest, clock, ledger)
        return core_of(start, prepared.identity, prepared.previous, prepared.directory, prepared.kept, sources)
    files.since = start.now
    files.write(StepKind.START, encode(start, lambda _: None))
    taped = Taped(files.write)
    drawn = partial(taped.entropy, entropy)
    sources = CoreSources(
        drawn,
        FreshIds(drawn).take,
        lambda address: taped.guests.config(recorded_guest_config(guest(address))),
        partial(taped.clock, clock),
        TapedLedger(ledger, taped.account),
    )
    core = core_of(start, prepared.identity, prepared.previous, prepared.directory, prepared.kept, sources)
    taped.wrap(core)
    return core


def start_of(prepared: PreparedNode) -> NodeStart:
    """Return what the core of a node begins with; within trio."""
    config, folder = prepared.config, prepared.config.folder
    ciphers = faster() if config.cipher is None else listed(config.cipher)
    previous = prepared.previous
    return NodeStart(
        our=config.name,
        registrar=prepared.registrar,
        drives=str(folder.drives),
        store=Location(str(folder.path), (folder.store.name,)),
        keeps=str(folder.kept),
        packages=str((folder.path / PACKAGES_FOLDER).resolve()),
        code=str(folder.code),
        now=trio.current_time(),
        memory_bytes=config.memory_bytes or default_budget(),
        wall_clock_offset=wall_clock_offset(),
        connections=min(MAX_CONNECTIONS, prepared.budget.accepted),
        cipher=ciphers[0].value if ciphers else ALWAYS.value,
        files=prepared.budget.files_of_a_guest,
        sockets=prepared.budget.sockets,
        http_client=HttpClientConfig(prepared.budget.calls, frozenset(config.http_client_private)),
        releases_quota=DEFAULT_QUOTA if config.releases_quota is None else config.releases_quota,
        routers=config.routers,
        reservations=config.reservations,
        invitation=config.invitation,
        quotas=config.quotas,
        take_over=config.take_over,
        has_page=config.http is not None,
        http_hosts=() if config.http is None else (config.http.host.lower(),),
        http_proxied=() if config.http is None or config.http.name is None else (config.http.name,),
        has_password=has_password(folder.key),
        rpc_open=config.http is not None and config.http.rpc_open,
        genesis=None if config.genesis is None else config.genesis.genesis(),
        by_invitation=config.by_invitation,
        host=config.host,
        seed=prepared.identity.seed,
        previous_seed=None if previous is None else previous.seed,
        rows=prepared.rows,
        states=prepared.kept.states,
        decided=tuple(prepared.decided),
        follows_lineages=config.spans is not None,
    )


def _monotonic_clock() -> Callable[[], int]:
    """Return the node's clock in nanoseconds; it may be read on any thread."""
    clock = trio.lowlevel.current_clock()
    return lambda: round(clock.current_time() * 1e9)


def recorded_guest_config(config: GuestConfig) -> GuestConfig:
    """Return the configuration of a guest whose questions to the world are noted: it asks for all of that itself."""
    drive = HostDrive(config.drive) if isinstance(config.drive, str) else config.drive
    return config._replace(entropy=os.urandom, clock=time.time_ns, drive=drive)


def guest_config(
    drives: Path,
    files: int,
    monotonic: Callable[[], int] | None,
    address: Address,
    *,
    debug: Callable[[str], bytes | None] | None = None,
) -> GuestConfig:
    """Return the configuration of a guest: with WASI it sees its package's folder in the vfs as `/`, and no
    more (G28). `monotonic` is the node's clock in nanoseconds; None: the host's. `debug`: see `GuestConfig`.
    """
    drive = drives / str(address.process.package_id)
    # A drive that cannot be made keeps the guest from starting; the engine says so.
    perform(MakeFolder(Location(str(drives), (drive.name,))))
    return GuestConfig(
        address,
        MAX_MEMORY_BYTES,
        drive=str(drive),
        files=files,
        monotonic=monotonic,
        http=WasiHttpClient(),
        debug=debug,
    )
