"""Lets componentize-py take the same picture of the memory on every machine.

It runs the interpreter while it compiles, which imports the process and takes from the machine what it finds there:
random numbers for its hashes, the time, and of each file its number, its times and the order in its folder. All that
stays in the memory of the guest. So the interpreter's libc, which is a part of the compiler, is replaced where the
compiler is installed: while it compiles, random bytes are zeros, the time stands still, and files have neither number
nor time. In what has been compiled, the same names stand for libc's own functions again (`with_own_libc`): a process
has the node's clocks and its random bytes.

No function is rewritten: those that answer are appended to libc, and exported in place of its own. Everything else in
the interpreter calls them by name.
"""

from __future__ import annotations

from collections.abc import Callable

from kernel.wasm.binary.module import BinaryReader, sections_untrusted
from nectar_node.toolchains import module_edits
from nectar_node.toolchains.module_edits import CORE_MODULE, CUSTOM, HEADER_BYTES, IMPORTS, leb, signed_leb

MADE = "same-memory-1"
"""What has been made of the compiler, for its name."""
_SECONDS = 1_577_836_800
"""What time it is while a process is compiled: the first of January 2020."""
_STACK_POINTER, _CANARY = "__stack_pointer", "__stack_chk_guard"
"""Variables; the second is an address."""
_STACK_BYTES = 16 * 1024
"""Below the frame of who asks: what libc has learnt of the machine still lies there."""

_GET, _SET, _CALL, _IF, _END = b"\x20", b"\x21", b"\x10", b"\x04\x40", b"\x0b"
_I32, _I64 = b"\x41", b"\x42"
_FILL = b"\xfc\x0b\x00"
_STAT_BYTES_OF_NAMES, _STAT_LINKS, _STAT_MODE, _STAT_SIZE, _STAT_BLOCKS, _STAT_TIMES = 16, 16, 24, 48, 64, 72
"""Of wasi-libc's `struct stat`: device and number come first, three times of 16 bytes last."""
_DIRENT_NUMBER_BYTES = 8
"""Of wasi-libc's `struct dirent`: the number comes first."""
_FOLDER, _KIND = 0x4000, 0xF000
"""Of a mode."""


def _i32(value: int) -> bytes:
    return _I32 + signed_leb(value)


def _local(number: int) -> bytes:
    return _GET + leb(number)


def _zeros(at: bytes, count: bytes) -> bytes:
    return at + _i32(0) + count + _FILL


def _plus(pointer: bytes, offset: int) -> bytes:
    return pointer + _i32(offset) + b"\x6a"


def _store64(pointer: bytes, offset: int, value: int) -> bytes:
    return pointer + _I64 + signed_leb(value) + b"\x37\x03" + leb(offset)


def _entropy(call: bytes, result: bytes) -> bytes:
    return _zeros(_local(0), _local(1))


def _time(call: bytes, result: bytes) -> bytes:
    return _store64(_local(1), 0, _SECONDS) + _store64(_local(1), 8, 0)


def _status(pointer: int) -> Callable[[bytes, bytes], bytes]:
    """`pointer`: which parameter says where the answer goes."""
    stat = _local(pointer)

    def answer(call: bytes, result: bytes) -> bytes:
        code = call + result + b"\x45" + _IF  # if the result is zero:
        code += _zeros(stat, _i32(_STAT_BYTES_OF_NAMES)) + _store64(stat, _STAT_LINKS, 1)
        code += _zeros(_plus(stat, _STAT_TIMES), _i32(3 * 16))
        code += stat + b"\x28\x02" + leb(_STAT_MODE) + _i32(_KIND) + b"\x71" + _i32(_FOLDER) + b"\x46" + _IF
        # What a folder's size is, file systems see differently.
        code += _store64(stat, _STAT_SIZE, 0) + _store64(stat, _STAT_BLOCKS, 0)
        return code + _END + _END

    return answer


def _entry(call: bytes, result: bytes) -> bytes:
    return call + result + _IF + _zeros(result, _i32(_DIRENT_NUMBER_BYTES)) + _END


def _same(call: bytes, result: bytes) -> bytes:
    return call


_ANSWERS: dict[str, tuple[int, Callable[[bytes, bytes], bytes]]] = {
    "getentropy": (2, _entropy),
    "clock_gettime": (2, _time),
    "stat": (2, _status(1)),
    "lstat": (2, _status(1)),
    "fstat": (2, _status(1)),
    "fstatat": (4, _status(2)),
    "readdir": (1, _entry),
    "opendir": (1, _same),
    "fdopendir": (1, _same),
    "open": (3, _same),
    "openat": (4, _same),
}
"""Of each name, how many parameters it has, all i32 as the result is, and what it does."""


def is_libc(module: bytes) -> bool:
    """Return whether this is the module that all others ask."""
    return _ANSWERS.keys() <= module_edits.function_exports(module).keys()


def with_same_answers(libc: bytes) -> bytes:
    """Return a libc that answers the same on every machine. Raises ValueError if it is another libc than is known."""
    exports = module_edits.function_exports(libc)
    imported, own = module_edits.count_functions(libc)
    if not is_libc(libc) or any(exports[name].number < imported for name in _ANSWERS):
        raise ValueError("the interpreter has another libc than is known")
    variables = _imported_variables(libc)
    if not {_STACK_POINTER, _CANARY} <= variables.keys():
        raise ValueError("the interpreter's libc has no stack, or no canary on it")
    new = []
    for name, (count, answer) in _ANSWERS.items():
        body = _body(exports[name].number, count, answer, variables[_STACK_POINTER], variables[_CANARY])
        new.append(module_edits.NewFunction(exports[name].number, body))
    replaced = {name: imported + own + at for at, name in enumerate(_ANSWERS)}
    changed = module_edits.with_exports(module_edits.with_functions(libc, new), replaced)
    return _without_names(changed)  # or it would not fit into the compiler


def _without_names(module: bytes) -> bytes:
    """Return the module without the names of its functions, which are for debuggers."""
    parts, until = [module[:HEADER_BYTES]], HEADER_BYTES
    for number, start, end in sections_untrusted(module):
        if number != CUSTOM or BinaryReader(module, start, end).name() != "name":
            parts.append(module[until:end])
        until = end
    return b"".join(parts)


def with_own_libc(component: bytes, libc: bytes) -> bytes:
    """Return a component whose libc answers as `libc`, which it was made of, does. Raises ValueError if it has none."""
    exports = module_edits.function_exports(libc)
    own = {name: exports[name].number for name in _ANSWERS}
    parts, found, until = [component[:HEADER_BYTES]], False, HEADER_BYTES
    for number, start, end in sections_untrusted(component):
        part = component[until:end]
        if number == CORE_MODULE and is_libc(module := component[start:end]):
            part, found = module_edits.section(number, module_edits.with_exports(module, own)), True
        parts.append(part)
        until = end
    if not found:
        raise ValueError("no core module is the interpreter's libc")
    return b"".join(parts)


def _body(own: int, count: int, answer: Callable[[bytes, bytes], bytes], stack: int, canary: int) -> bytes:
    """Return the function that answers in place of libc's own, whose number is given, and clears the stack below it.

    libc has drawn the canary before anybody could answer; no library of the interpreter looks at it.
    """
    result = _local(count)
    call = b"".join(map(_local, range(count))) + _CALL + leb(own) + _SET + leb(count)
    below = b"\x23" + leb(stack) + _i32(_STACK_BYTES) + b"\x6b"
    code = answer(call, result) + _zeros(below, _i32(_STACK_BYTES))
    code += b"\x23" + leb(canary) + _i32(0) + b"\x36\x02\x00" + result + _END
    return b"\x01\x01\x7f" + code


def _imported_variables(module: bytes) -> dict[str, int]:
    """Return the numbers of the global variables that a module imports, by name."""
    for number, start, end in sections_untrusted(module):
        if number == IMPORTS:
            imports = BinaryReader(module, start, end).imports()
            return {name: at for at, name in enumerate(each.name for each in imports if each.kind == "global")}
    return {}
