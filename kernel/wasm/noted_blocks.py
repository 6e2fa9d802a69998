"""The basic blocks that a running guest notes (`binary/blocks`): which they are, and the fuel that this has taken.

With them, a slice of a replayable run ends where it would without: when the program alone has used its fuel. Fuel is
looked at where a function or a round of a loop begins. Wasmtime stops there no later than the program's own slice is
over, since noting takes fuel, too; then the guest goes on for what is left, as often as needed.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_uint64

from kernel.wasm.binary.blocks import FIRST_BLOCK, FUEL_OF_A_BLOCK
from kernel.wasm.compiling import capi


class NotedBlocks:
    """Those of one guest; valid as long as its store."""

    __slots__ = ("_blocks", "_context", "_fuel", "_none", "_passed", "_slice", "_slice_fuel", "_tell")

    def __init__(
        self, context: int, memory: memoryview, count: int, fuel: int, slice_fuel: int, tell: Callable[[bytes], None]
    ) -> None:
        """`memory` is what `count` blocks are noted in; `fuel` is what the guest has begun with."""
        self._context = context
        self._passed = memory[:FIRST_BLOCK].cast("Q")
        self._blocks = memory[FIRST_BLOCK : FIRST_BLOCK + count]
        self._none = bytes(count)
        self._fuel = fuel
        self._slice_fuel = slice_fuel
        self._slice = 0
        """What the program had used when its slice began."""
        self._tell = tell

    def slice_is_over(self) -> bool:
        """Return whether the program's slice is over, where Wasmtime has stopped it; the next one begins then."""
        left = c_uint64()
        capi.check(capi.get_fuel(self._context, byref(left)))
        used = self._fuel - left.value - FUEL_OF_A_BLOCK * self._passed[0]
        rest = self._slice_fuel - (used - self._slice)
        if rest <= 0:
            self._slice, rest = used, self._slice_fuel
            is_over = True
        else:
            is_over = False
        capi.check(capi.fuel_yield_interval(self._context, rest))
        return is_over

    def tell(self) -> None:
        """Tell which blocks the guest has passed through since this was called last."""
        passed = bytes(self._blocks)
        if passed != self._none:
            self._blocks[:] = self._none
            self._tell(passed)
