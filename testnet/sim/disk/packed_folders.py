"""Folders as one file on a simulated disk, as `storage.folder_packing` has them on a real one, and archives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.packing import packed_folder as packing
from nectar_node.packing.packed_folder import BadPackedFolder, PackedEntry, PackedFolder, PackedKind
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive, Entry, entries_untrusted, unpack_untrusted, verify_untrusted
from nectar_node.storage.names import why_refused
from nectar_node.storage.steps import Work
from testnet.model.folder_tree import FolderTree, TreeItem
from testnet.sim.disk.durable_tree import DurableTree, path_of
from testnet.sim.disk.file_content import File, new_file
from testnet.sim.disk.files import FileOperations
from testnet.sim.disk.folders import FolderOperations
from testnet.sim.disk.refusals import EXISTS, RefusedError
from testnet.sim.disk.space import Space, staged
from testnet.sim.disk.tree import FolderStamp, Path, Tree


class PackedOperations:
    """Reads a folder as one file, and makes folders of such a file or of an archive."""

    def __init__(self, tree: DurableTree, space: Space, files: FileOperations, folders: FolderOperations) -> None:
        """`files` and `folders` write what an archive holds."""
        self._tree = tree
        self._space = space
        self._files = files
        self._folders = folders
        self.performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.StatPacked: self._stat_packed,
            ops.ReadPacked: self._read_packed,
        }
        """Operations of one step."""
        self.in_steps: dict[type, Callable[[Any], Work]] = {
            ops.HashPacked: self._hash_packed,
            ops.UnpackFolder: self._unpack_folder,
            ops.Unpack: self._unpack,
        }
        """Operations of several steps."""

    # --- archives -----------------------------------------------------------------------------------------------------

    def _unpack(self, operation: ops.Unpack) -> Work:
        entries = entries_untrusted(operation.data)
        for _ in verify_untrusted(operation.data, entries):
            yield
        account = self._space.ledger.account_of(operation.location)
        files = [each for each in entries if not each.is_folder]
        size = sum(entry.length for entry in files)
        self._space.reserve(account, size, size, len(files))
        account.settle(-size, -len(files))  # all count at once, since they appear at once
        self.unpack_entries(operation.location, operation.data, entries)
        return None

    def unpack_entries(self, into: ops.Location, data: Buffer, entries: Iterable[Entry]) -> None:
        """Make the files and folders of an archive that are among `entries`."""
        for entry in entries:
            folder = entry.parts if entry.is_folder else entry.parts[:-1]
            self._folders.make_folders(path_of(ops.Location(into.root, into.parts + folder)))
            if not entry.is_folder:
                content = b"".join(unpack_untrusted(data, entry))
                self._files.write_new(ops.Location(into.root, into.parts + entry.parts), content)

    # --- folders as one file ------------------------------------------------------------------------------------------

    def _looked(self, location: ops.Location) -> tuple[PackedFolder, str]:
        path = path_of(location)
        self._tree.check_folder(path)
        return look_into(self._tree.live, path, self._tree.stamps)

    def _stat_packed(self, operation: ops.StatPacked) -> ops.PackedStat:
        packed, left_out = self._looked(operation.location)
        return ops.PackedStat(packed.length, packed.version, len(packed.entries), len(packed.files), left_out)

    def _read_packed(self, operation: ops.ReadPacked) -> ops.PackedBytes:
        data, packed = self._packed_bytes(operation, operation.offset, operation.length)
        end = operation.offset + len(data)
        return ops.PackedBytes(data, end, packed.whole_files(end))

    def _packed_bytes(
        self, operation: ops.ReadPacked | ops.HashPacked, offset: int, length: int
    ) -> tuple[bytes, PackedFolder]:
        packed, _ = self._looked(operation.location)
        if packed.version != operation.version:
            raise BadPackedFolder("something in it has changed meanwhile")
        return _read(packed, self._tree.live, path_of(operation.location), offset, length), packed

    def _hash_packed(self, operation: ops.HashPacked) -> Work:
        content, _ = self._packed_bytes(operation, 0, packing.MAX_LENGTH)
        for _ in range(0, len(content), ops.STEP_BYTES):
            yield
        return blake3(content).digest()

    def _unpack_folder(self, operation: ops.UnpackFolder) -> Work:
        file, target = self._tree.file(operation.location), path_of(operation.target)
        if self._tree.is_there(target):
            raise RefusedError(EXISTS)
        packed = _unpacked_untrusted(file, operation.entries)
        for _block in file.blocks():
            yield
        self._place(packed, packed.entries, file, target, into=target)
        self._tree.sync_new(target)
        return None

    def unpack_in_part(self, location: ops.Location, target: Path, most: int, share: float) -> None:
        """Unpack a part of a folder, which never gets its name."""
        file = self._tree.file(location)
        packed = _unpacked_untrusted(file, most)
        entries = packed.entries[: max(1, int(len(packed.entries) * share))]
        self._place(packed, entries, file, target, into=staged(target))
        self._space.leave_unfinished(staged(target))

    def _place(
        self, packed: PackedFolder, entries: Iterable[PackedEntry], file: File, target: Path, *, into: Path
    ) -> None:
        entries = list(entries)
        self._tree.check_folder(target[:-1])
        self._space.forget_unfinished(staged(target))
        size = sum(entry.size for entry in entries)
        self._space.reserve(self._space.account(into), size, size, len(entries))
        _place_unpacked(entries, packed, file, self._tree.live, into, self._tree.stamps)

    # --- from outside the simulated node ------------------------------------------------------------------------------

    def put_tree(self, root: Path, items: FolderTree) -> None:
        """Make a whole folder, durable."""
        for name, item in items.items():
            path = (*root, *name.split("/")) if name else root
            if item.kind is PackedKind.FOLDER:
                self._tree.stamps[path] = FolderStamp(item.mode, item.modified)
                self._tree.put_folder(path)
                continue
            file = new_file(b"" if item.kind is PackedKind.LINK else item.content, item.modified)
            file.mode = item.mode
            file.target = item.content.decode() if item.kind is PackedKind.LINK else None
            self._tree.put(path, file)

    def tree_of(self, root: Path) -> FolderTree | None:
        """Return what is in a folder; None: there is none."""
        tree = self._tree.live
        if root not in tree.folders:
            return None
        found: FolderTree = {}
        for each in sorted(self._tree.at_and_below(root)):
            entry = _entry(tree, each, root, self._tree.stamps)
            content = entry.target.encode()
            if entry.kind is PackedKind.FILE:
                content = tree.files[(*root, *entry.path.split("/"))].content()
            mode = 0 if entry.kind is PackedKind.LINK else entry.mode
            found[entry.path] = TreeItem(entry.kind, mode, entry.modified, content)
        return found


def look_into(tree: Tree, path: Path, stamps: Mapping[Path, FolderStamp]) -> tuple[PackedFolder, str]:
    """Return what is in a folder, and what of it is left out; raises BadPackedFolder."""
    left_out, entries = packing.LeftOutOfFolder(), list[PackedEntry]()
    below = [each for each in (*tree.files, *tree.folders) if each[: len(path)] == path]
    for each in sorted(below):
        if each != path and (why := why_refused(each[-1])) is not None:
            name = packing.shown("/".join(each[len(path) :]))
            raise BadPackedFolder(f"a file in it, {name}, has a name that cannot be sent: it {why}")
        entry = _entry(tree, each, path, stamps)
        if entry.kind is PackedKind.LINK and packing.leads_out(entry.path, entry.target):
            left_out.add(entry.path, packing.LINKS_OUT)
        else:
            entries.append(entry)
    return packing.pack(entries), left_out.sentence()


def _entry(tree: Tree, path: Path, root: Path, stamps: Mapping[Path, FolderStamp]) -> PackedEntry:
    name, file = "/".join(path[len(root) :]), tree.files.get(path)
    if file is None:
        return PackedEntry(name, PackedKind.FOLDER, *stamps.get(path, FolderStamp(0o700, 0)))
    kind = PackedKind.FILE if file.target is None else PackedKind.LINK
    return PackedEntry(name, kind, file.mode, file.modified, len(file), file.target or "")


def _read(packed: PackedFolder, tree: Tree, path: Path, offset: int, length: int) -> bytes:
    """Return bytes of a folder as one file."""
    data = bytearray()
    for piece in packed.pieces(offset, length):
        if piece.entry is None:
            data += packed.head[piece.offset : piece.offset + piece.length]
        else:
            data += tree.files[(*path, *piece.entry.path.split("/"))].read(piece.offset, piece.length)
    return bytes(data)


def _unpacked_untrusted(file: File, most: int) -> PackedFolder:
    """Return what is in a file that is a packed folder of at most so many entries; raises BadArchive."""
    try:
        head = file.read(0, packing.head_bytes_untrusted(file.read(0, packing.FRAME_BYTES)))
        packed = packing.decode_untrusted(head, why_refused)
    except BadPackedFolder as error:
        raise BadArchive(f"is refused: {error.strerror}") from error
    if packed.length != len(file):
        raise BadArchive(f"is refused: it is {len(file)} bytes long, and not {packed.length}")
    if len(packed.entries) > most:
        raise BadArchive(f"is refused: it has more than the {most} files and folders that it was to have")
    return packed


def _place_unpacked(
    entries: Iterable[PackedEntry],
    packed: PackedFolder,
    file: File,
    tree: Tree,
    target: Path,
    stamps: dict[Path, FolderStamp],
) -> None:
    """Put these entries of a packed folder below `target`, with synced contents."""
    position = len(packed.head)
    for entry in entries:
        path = (*target, *entry.path.split("/")) if entry.path else target
        if entry.kind is PackedKind.FOLDER:
            tree.folders.add(path)
            stamps[path] = FolderStamp(entry.mode, entry.modified)
            continue
        made = new_file(file.read(position, entry.size), entry.modified)
        made.mode = entry.mode
        made.target = entry.target or None
        position += entry.size
        tree.files[path] = made
