"""Core modules by the byte, for tests that need what no assembler would write."""

from __future__ import annotations

HEADER = b"\0asm\x01\0\0\0"
COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA = range(1, 12)
"""Numbers of sections."""
NOTHING, REALLOC, INIT = b"\x60\0\0", b"\x60\x04\x7f\x7f\x7f\x7f\x01\x7f", b"\x60\x02\x7f\x7f\0"
"""Types of functions: of the extra ones, of cabi_realloc, of init."""
END = b"\x0b"


def leb(number: int) -> bytes:
    """An unsigned LEB128 number."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def vector(items: list[bytes]) -> bytes:
    """Items behind their count."""
    return leb(len(items)) + b"".join(items)


def sized(data: bytes) -> bytes:
    """Bytes behind their length: a name, a function's body."""
    return leb(len(data)) + data


def section(number: int, body: bytes) -> bytes:
    """A section."""
    return bytes([number]) + sized(body)


def program(bodies: list[bytes] | None = None, **replaced: bytes) -> bytes:
    """A module that could be started, with extra functions of these bodies (locals and code, without size).

    `replaced`: the whole of a section by its name; of one that is not there, in addition.
    """
    bodies = bodies or []
    exports = [sized(b"memory") + b"\x02\0", sized(b"cabi_realloc") + b"\0\0", sized(b"init") + b"\0\x01"]
    contents = {
        "type": vector([NOTHING, REALLOC, INIT]),
        "function": vector([b"\x01", b"\x02", *[b"\0"] * len(bodies)]),
        "memory": vector([b"\0\x02"]),
        "export": vector(exports),
        "code": vector([sized(b"\0\x41\0" + END), sized(b"\0" + END), *map(sized, bodies)]),
    } | replaced
    numbers = {"imports": IMPORT, "table": TABLE, "global": GLOBAL, "start": START, "element": ELEMENT, "data": DATA}
    numbers |= {"type": TYPE, "function": FUNCTION, "memory": MEMORY, "export": EXPORT, "code": CODE}
    ordered = sorted((numbers[name], body) for name, body in contents.items())
    return HEADER + b"".join(section(number, body) for number, body in ordered)


def nested(opcode: bytes, depth: int) -> bytes:
    """The body of a function with that many blocks in each other."""
    return b"\0" + opcode * depth + END * depth + END


def loops_over_locals(count: int) -> bytes:
    """The body of a function whose time to compile grows with the fourth power of `count`: loops in each other, each
    of which sets a local of its own and goes on depending on it."""
    steps = b"".join(b"\x20" + leb(i) + b"\x42\x01\x7c\x21" + leb(i) + b"\x41\0\x0d\0\x0b" for i in range(count))
    return b"\x01" + leb(count) + b"\x7e" + b"\x03\x40" * count + steps + END
