"""Lets a component that componentize-py has built free the bytes that it sends.

Its runtime copies each `bytes` that a process passes to the node, by `wit_dylib_pop_list`, into memory that the code
around it takes for the interpreter's and the interpreter for that code's: so nobody frees it, and a process ends after
it has sent half a gigabyte. The runtime has a list, though, of what is freed once a call has returned, and a function
that adds to it, `wit_dylib_dealloc_bytes`. So this appends one function to the module of the runtime, which calls the
first and then the second, and exports it in place of the first. Nothing else in the component changes, and all
processes have the same module still, which a node compiles once.
"""

from __future__ import annotations

from kernel.wasm.binary.module import sections_untrusted
from nectar_node.toolchains import module_edits
from nectar_node.toolchains.module_edits import CORE_MODULE, HEADER_BYTES, leb

MADE = "frees-sent-bytes-1"
"""What has been made of a component, for a key of those that are kept."""
POP_LIST, FREE_LATER = "wit_dylib_pop_list", "wit_dylib_dealloc_bytes"
"""(the call, the type, where to write the address) to the length; the address is zero if it is no list of bytes, but
one whose elements are taken one by one. And (the call, address, length, alignment, whether to free it later)."""


def free_sent_bytes(component: bytes) -> bytes:
    """Return the component with a runtime that frees what it sends. Raises ValueError if it has no such runtime."""
    parts, found, until = [component[:HEADER_BYTES]], False, HEADER_BYTES
    for number, start, end in sections_untrusted(component):
        section = component[until:end]
        if number == CORE_MODULE:
            mended = _mended(component[start:end])
            if mended is not None:
                section, found = module_edits.section(number, mended), True
        parts.append(section)
        until = end
    if not found:
        raise ValueError(f"no core module exports {POP_LIST} and {FREE_LATER}")
    return b"".join(parts)


def _mended(module: bytes) -> bytes | None:
    """Return the module with the function; None: it is not the runtime."""
    exports = module_edits.function_exports(module)
    if not {POP_LIST, FREE_LATER} <= exports.keys():
        return None
    imported, own = module_edits.count_functions(module)
    pop_list = exports[POP_LIST].number
    if pop_list < imported:
        return None
    new = module_edits.NewFunction(pop_list, _freeing(pop_list, exports[FREE_LATER].number))
    return module_edits.with_exports(module_edits.with_functions(module, [new]), {POP_LIST: imported + own})


def _freeing(pop_list: int, free_later: int) -> bytes:
    """Return the code of a function that does what `pop_list` does, and has bytes freed once the call is over.

    Parameters 0 to 2 are those of POP_LIST; local 3 is the length, and 4 the address.
    """
    code = b"\x01\x02\x7f"  # two locals of i32
    code += b"\x20\x00\x20\x01\x20\x02\x10" + leb(pop_list) + b"\x21\x03"  # length = pop_list(call, type, where)
    code += b"\x20\x02\x28\x02\x00\x22\x04"  # address = load(where)
    code += b"\x04\x40"  # if it is not zero:
    code += b"\x20\x00\x20\x04\x20\x03\x41\x01\x41\x01\x10" + leb(free_later)
    # free_later(call, address, length, 1, 1)
    return code + b"\x0b\x20\x03\x0b"  # return length
