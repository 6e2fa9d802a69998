"""Takes what is packed in a shared library out of it, and puts something else in its place.

    python zstd_frames.py take LIBRARY FOLDER           writes each core module to FOLDER/OFFSET.wasm
    python zstd_frames.py put LIBRARY OFFSET MODULE     packs a module into the room of the one at OFFSET

A script for the compiler's environment, which has `zstandard`; it imports nothing of this project.
"""

import sys
from pathlib import Path

import zstandard

_FRAME = b"\x28\xb5\x2f\xfd"
_SKIPPED = b"\x50\x2a\x4d\x18"
"""Begins a frame that holds nothing: four bytes of length, and as many of any value (RFC 8878, 3.1.2)."""
_CORE_MODULE = b"\0asm\x01\0\0\0"
_LEVEL = 22


def take(library: Path, folder: Path) -> None:
    """Write the core modules that are packed in the library."""
    data = library.read_bytes()
    at = data.find(_FRAME)
    while at >= 0:
        try:
            module, _ = _unpacked(data, at)
        except zstandard.ZstdError:  # these four bytes are no frame
            module = b""
        if module.startswith(_CORE_MODULE):
            (folder / f"{at}.wasm").write_bytes(module)
        at = data.find(_FRAME, at + 1)


def put(library: Path, offset: int, module: Path) -> None:
    """Replace a module in the library."""
    data = library.read_bytes()
    _, room = _unpacked(data, offset)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(module.read_bytes())
    left = room - len(packed)
    if left and left < 8:
        packed, left = b"", -1
    if left < 0:
        sys.exit(f"the module does not fit into the room of {room} bytes")
    if left:
        packed += _SKIPPED + (left - 8).to_bytes(4, "little") + bytes(left - 8)
    staging = library.with_name(f"{library.name}.new")
    staging.write_bytes(data[:offset] + packed + data[offset + room :])
    staging.chmod(0o755)
    staging.replace(library)


def _unpacked(data: bytes, at: int) -> tuple[bytes, int]:
    """Return what the frame at `at` holds, and its length."""
    reader = zstandard.ZstdDecompressor().decompressobj()
    rest = memoryview(data)[at:]
    found = reader.decompress(rest)
    return found, len(rest) - len(reader.unused_data)


if __name__ == "__main__":
    if sys.argv[1] == "take":
        take(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        put(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
