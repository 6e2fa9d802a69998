"""The commands about installed packages and releases: what proves a package, installing, going back, publishing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio
from msgspec import structs

from kernel.contract.address import PackageId
from nectar_node.base.errors import BadPackage, NodeError
from nectar_node.control.clients import Client
from nectar_node.control.package_rows import info_row, package_row, standing
from nectar_node.control.packages import Packages
from nectar_node.control.proving import Prover
from nectar_node.control.purging import Purge
from nectar_node.control.requests import Fields, installed_untrusted, package_untrusted, version_untrusted
from nectar_node.core.core import NodeCore
from nectar_node.packages.contents import check_digest, discard_folder, with_copy
from nectar_node.packages.interfaces import read_interface_files
from nectar_node.packages.manifest import Package
from nectar_node.packages.metadata import read_metadata
from nectar_node.packages.publishing import check_asks, make_release
from nectar_node.packages.startable import read_startable
from nectar_node.releases.document import ApiFile
from nectar_node.releases.errors import BadRelease, Downgrade, OtherContent, Unproven
from nectar_node.releases.head import can_be_proven
from nectar_node.releases.installed import InstalledVersion
from nectar_node.releases.proof import encode_proof
from nectar_node.releases.shelf import HeldRelease, Shelf
from nectar_node.releases.versions import Version

PUBLISHED_FILES = 16
"""Releases of a package of this node's whose files are kept: the newest. Of older ones the documents stay, for the
chain."""


class NotInstalled(NodeError):
    """No such package is installed."""


class Releases:
    """Those commands of one node."""

    def __init__(
        self,
        core: NodeCore,
        folder: Path,
        packages: Packages,
        turn: Callable[[], None],
        kept: Callable[[], Awaitable[None]],
    ) -> None:
        """`folder` is the node's; `turn` lets the node run after it was told something; `kept` returns when what has
        changed is durable.
        """
        self._core = core
        self._folder = folder
        self._packages = packages
        self._turn = turn
        self._kept = kept
        self._prover = Prover(core, turn)
        self._purge = Purge(core, folder, turn)
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "installed": self._on_installed,
            "installed_one": self._on_installed_one,
            "interfaces": self._on_interfaces,
            "find_release": self._on_find_release,
            "review_install": self._on_review_install,
            "install": self._on_install,
            "review_roll_back": self._on_review_roll_back,
            "roll_back": self._on_roll_back,
            "uninstall": self._on_uninstall,
            "publish": self._on_publish,
            "proof": self._on_proof,
        }

    # --- what is there ----------------------------------------------------------------------------------------------

    async def _on_installed(self, _: Client, __: Fields) -> dict[str, object]:
        """Answer which packages there are, each in short."""
        known = {*self._core.packages, *self._core.installed.packages()}
        return {"packages": [package_row(self._core, each) for each in sorted(known)]}

    async def _on_installed_one(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer all about one package: installed, or a release that is here."""
        package = self._named(fields, *self._core.shelf.packages())
        allowed = self._core.packages.get(package)
        asked = None
        if allowed is not None:
            try:
                asked = await trio.to_thread.run_sync(read_startable, allowed.folder, self._core.our)
            except BadPackage:  # somebody has changed or removed its folder meanwhile
                asked = allowed
        return info_row(self._core, package, asked, allowed)

    async def _on_interfaces(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer the interfaces of a package that runs, or of a release that is here, and its processes' names."""
        core, package = self._core, self._named(fields, *self._core.shelf.packages())
        running, current = core.packages.get(package), core.installed.current(package)
        files: tuple[ApiFile, ...] = ()
        if running is not None:
            files = await trio.to_thread.run_sync(read_interface_files, running.folder)
        document = None if current is None or current.document is None else core.shelf.get(current.document)
        held = document or next(iter(core.shelf.of(package)), None)
        if not files and held is not None:
            files = Shelf.release(held).metadata.interfaces
        return {
            "package": str(package),
            "processes": [] if running is None else [each.process for each in running.processes],
            "interfaces": [list(each) for each in files],
        }

    def _named(self, fields: Fields, *others: PackageId) -> PackageId:
        """Return the package that a request names, installed or one of `others`; raises BadInput."""
        return installed_untrusted(fields.address, (*self._core.packages, *self._core.installed.packages(), *others))

    # --- installing -------------------------------------------------------------------------------------------------

    async def _on_find_release(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer where the files of a release lie on this node, if they do, and whether it is certainly the wanted one:
        another node may have a newer one.
        """
        package, version = package_untrusted(fields.address or ""), version_untrusted(fields.version)
        certain = version is not None or package.publisher == self._core.our
        for held in self._core.shelf.of(package):
            if held.folder is not None and version in (None, held.version):
                return {"folder": held.folder, "version": held.version.text, "certain": certain}
        return {"folder": None, "version": "", "certain": False}

    async def _read(self, fields: Fields) -> tuple[Package, Fields, HeldRelease | None]:
        """Return the package that is to be installed, with the place that it comes from, and the release that it is.

        Raises Unproven, Downgrade, OtherContent, BadPackage and BadInput.
        """
        package = await self._packages.read(fields)
        if (
            fields.upgrade
            and self._core.installed.current(package.id) is None
            and package.id not in self._core.packages
        ):
            raise NotInstalled(f"{package.id} is not installed: `nectar install` does that.")
        held = await self._prover.prove(package, Path(fields.package))
        if (
            held is None
            and can_be_proven(package.id)
            and package.id.publisher != self._core.our
            and not fields.unsigned
        ):
            raise Unproven(
                f"{package.id} in {package.source} says that {package.id.publisher} has published it, and nothing "
                f"proves that. Install {package.id}, which is fetched from other nodes; or add --unsigned if you know "
                "where this one comes from."
            )
        if held is not None:
            # What a release may do is decided once for all of its publisher's.
            check_asks(package, Shelf.release(held), self._core.our)
            fields = structs.replace(fields, origin=str(package.id))
            package = replace(package, origin=Path(str(package.id)))
        self._check_version(package, held, await self._version(package, held))
        return package, fields, held

    async def _version(self, package: Package, held: HeldRelease | None) -> str:
        if held is not None:
            return held.version.text
        return (await trio.to_thread.run_sync(read_metadata, package)).version

    def _check_version(self, package: Package, held: HeldRelease | None, version: str) -> None:
        """Raise Downgrade or OtherContent if that version may not take the place of the one that is installed."""
        current = self._core.installed.current(package.id)
        if current is None or not current.version or not version:
            return
        if Version(version) < Version(current.version):
            raise Downgrade(
                f"{package.id} {version} is older than {current.version}, which is installed: `nectar rollback "
                f"{package.id}` goes back to the version before, `nectar uninstall {package.id}` makes room for any."
            )
        other = current.digest != package.digest and Version(version) == Version(current.version)
        if other and can_be_proven(package.id) and held is None:
            raise OtherContent(
                f"{package.id} {version} is installed already, with other content: give the new one a higher version "
                "in its metadata.json."
            )

    async def _on_review_install(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer what `install` with the same arguments would ask for, and whether it is proven."""
        package, fields, held = await self._read(fields)
        row = self._packages.question(package, self._packages.review(package, fields))
        return row | {
            "version": await self._version(package, held),
            "standing": standing(package.id, self._core.our, held is not None, package.folder),
        }

    async def _on_install(self, client: Client, fields: Fields) -> dict[str, object]:
        package, _, _ = await self._read(fields)
        async with self._packages.alone(package.id):
            package, fields, held = await self._read(fields)  # again: another one may have been installed meanwhile
            version = await self._version(package, held)

            def installed(copy: Package) -> InstalledVersion:
                document = None if held is None else held.hash
                origin = str(package.source)
                return InstalledVersion(version, copy.digest, str(copy.folder), origin, document, round(time.time()))

            before = list(self._core.installed.of(package.id))
            reviewed, told = self._packages.review(package, fields), client if fields.tells else None
            answer = await self._packages.start(package, reviewed, fields, installed, client=told)
            if held is not None:
                self._core.shelf.put(held.document, str(self._core.packages[package.id].folder))
            await self._tidy(package.id, before)
            await self._kept()
            shown = standing(package.id, self._core.our, held is not None, package.folder)
            same = bool(before) and (before[-1].version, before[-1].digest) == (version, package.digest)
            return answer | {"version": version, "standing": shown, "unchanged": same}

    async def _tidy(self, package: PackageId, before: list[InstalledVersion]) -> None:
        """Remove the files of those versions of `before` to which the package cannot go back any more."""
        core, gone = self._core, []
        for each in before:
            running, folder = core.packages.get(package), Path(each.folder)
            if core.installed.uses(folder) or (running is not None and running.folder == folder):
                continue
            held = None if each.document is None else core.shelf.get(each.document)
            if held is not None and package.publisher == core.our:
                continue  # it serves them to others
            if held is not None:
                core.shelf.put(held.document, None)
            gone.append(folder)
        gone += self._unused(package)
        self._turn()
        await self._kept()  # before they are gone: after a crash, nothing may lead to what is not there
        for folder in gone:
            await trio.to_thread.run_sync(discard_folder, folder, self._folder)

    def _unused(self, package: PackageId) -> Iterator[Path]:
        """Yield the folders of releases that were fetched and are not installed, and forget that they are here."""
        core, running = self._core, self._core.packages.get(package)
        for held in core.shelf.of(package) if package.publisher != core.our else ():
            if held.folder is None or core.installed.uses(Path(held.folder)):
                continue
            if running is None or running.folder != Path(held.folder):
                core.shelf.put(held.document, None)
                yield Path(held.folder)

    # --- going back and ending --------------------------------------------------------------------------------------

    async def _former(self, fields: Fields) -> tuple[Package, Fields]:
        """Return the version to which a package goes back; raises NotInstalled and BadPackage."""
        package = self._named(fields)
        versions = self._core.installed.of(package)
        running = self._core.packages.get(package)
        if len(versions) < 2 or (running is not None and running.digest != versions[-1].digest):
            raise NotInstalled(f"There is no version of {package} before the one that runs to which it could go back.")
        former = versions[-2]
        fields = structs.replace(fields, package=former.folder, origin=former.origin, replace=True, keep=True)
        read = await self._packages.read(fields)
        check_digest(read, former.digest)
        return read, fields

    async def _on_review_roll_back(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer what `roll_back` with the same arguments would ask for."""
        package, fields = await self._former(fields)
        return self._packages.question(package, self._packages.review(package, fields))

    async def _on_roll_back(self, client: Client, fields: Fields) -> dict[str, object]:
        """Let the version before of a package run again; what the newer one has saved stays as it is."""
        async with self._packages.alone(self._named(fields)):
            package, fields = await self._former(fields)
            before = list(self._core.installed.of(package.id))
            former, newer = before[-2:]
            again = partial(self._core.installed.go_back, package.id)
            reviewed, told = self._packages.review(package, fields), client if fields.tells else None
            answer = await self._packages.start(package, reviewed, fields, again=again, client=told)
            await self._tidy(package.id, before)
            return answer | {"version": former.version, "from": newer.version}

    async def _on_uninstall(self, _: Client, fields: Fields) -> dict[str, object]:
        async with self._packages.alone(self._named(fields, *self._known(purged=fields.purge))):
            core, package = self._core, self._named(fields, *self._known(purged=fields.purge))
            running, before = core.packages.get(package), list(core.installed.of(package))
            ended = len(core.tree(package))
            core.uninstall(package, trio.current_time())
            self._turn()
            while core.kernel.lifecycle.ending:
                await trio.lowlevel.checkpoint()
            await self._kept()
            await self._tidy(package, before)
            for folder in (None if running is None else running.folder, self._packages.take_former(package)):
                if folder is not None and not self._packages.is_kept(folder):
                    await trio.to_thread.run_sync(discard_folder, folder, self._folder)
            left = await (self._purge.remove(package) if fields.purge else self._purge.left(package))
            if fields.purge and package.publisher != core.our:
                core.shelf.forget(package)
            if fields.purge or not any(left.values()):
                core.decide(package, None, trio.current_time())
            self._turn()
            await self._kept()
            installed = running is not None or bool(before)
            return {"package": str(package), "installed": installed, "ended": ended, "purged": fields.purge, **left}

    def _known(self, *, purged: bool) -> Iterator[PackageId]:
        """Yield the packages that are not installed, and of which there is something to be removed: what was fetched
        of them; and, if all is to be purged, what they have left, and what is remembered of them.
        """
        core = self._core
        for package in core.shelf.packages():
            if package.publisher != core.our and any(each.folder is not None for each in core.shelf.of(package)):
                yield package
        if purged:
            yield from core.decisions.packages()
            yield from (each.head.package for each in core.shelf.heads() if each.head.package.publisher != core.our)

    # --- publishing -------------------------------------------------------------------------------------------------

    async def _on_publish(self, _: Client, fields: Fields) -> dict[str, object]:
        """Make a release of a package's folder: keep its files, and sign that it is the newest."""
        core = self._core
        package = await self._packages.read(fields)
        async with self._packages.alone(package.id):
            newest = next(iter(core.shelf.of(package.id)), None)
            make = partial(
                make_release,
                package,
                await trio.to_thread.run_sync(read_metadata, package),
                None if newest is None else Shelf.release(newest),
                core.our,
                round(time.time()),
            )
            release = await trio.to_thread.run_sync(make)
            if release.digest != package.digest:
                raise BadPackage(f"The files in {package.folder} have changed while they were read: publish again.")
            copy = await trio.to_thread.run_sync(partial(with_copy, package, self._folder, by_hash=True))
            core.published.publish(release, str(copy.folder), trio.current_time())
            self._turn()
            await self._kept()
            for each in core.shelf.of(package.id)[PUBLISHED_FILES:]:
                if each.folder is not None:
                    core.shelf.put(each.document, None)
                    if not self._packages.is_kept(Path(each.folder)):
                        await trio.to_thread.run_sync(discard_folder, Path(each.folder), self._folder)
            await self._kept()
            return {
                "package": str(package.id),
                "version": release.version.text,
                "number": release.number,
                "files": len(release.files),
                "bytes": release.size,
                "asks": [list(each) for each in release.metadata.asks],
                "interfaces": [each.name for each in release.metadata.interfaces],
                "folder": str(copy.folder),
            }

    async def _on_proof(self, _: Client, fields: Fields) -> dict[str, object]:
        """Answer what proves a release to whoever gets it as a zip, in hexadecimal digits."""
        package = package_untrusted(fields.address or "")
        head, held = self._core.shelf.head(package), self._core.shelf.of(package)
        if head is None or not held:
            raise BadRelease(f"{package} has not been published, as far as {self._core.our} knows.")
        chain = [each.document for each in held if each.number <= head.head.number]
        newest = held[0]
        return {
            "proof": encode_proof(head, chain).hex(),
            "version": newest.version.text,
            "folder": newest.folder,
        }
