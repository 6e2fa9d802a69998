"""The host functions of one component: the process interface's and those of WASI 0.2, by the component's own options.

A component lowers each function that it calls with a memory and a function that gives memory; there may be several of
both. So each component has an adapter of its own, which exports `f0`, `f1`, … in the order of `ComponentPlan.host`.
What is behind them is the same as for a core module (`host`), and for WASI what `wasi.interfaces` says.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from kernel.contract.errors import BadModule, GuestTrap
from kernel.wasm.adapter import FIRST_REALLOC_SLOT, HOST, Adapted, host_numbers
from kernel.wasm.binary.component_plan import DROP, ComponentPlan, LoweredFunction
from kernel.wasm.canonical.abi import has_pieces, signature
from kernel.wasm.canonical.wit import INTERFACES, Function, Handle, Interface, Kind, Scalar, Variant
from kernel.wasm.code import Running
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.capi import ADDRESS_SPACE
from kernel.wasm.fiber import Fiber, hand_over_codes
from kernel.wasm.host import (
    INSIDE_REALLOC,
    Act,
    HostFunction,
    asynchronous,
    compiled_lift,
    compiled_lower,
    function_callback,
    pause_and_place,
    selecting,
)
from kernel.wasm.wasi.interfaces import WasiFunction, wasi_function, wasi_interface, wasi_resource
from kernel.wasm.wasi.state import WasiWait

_U32, _U64 = Struct("<I"), Struct("<Q")
_FLAT = {
    "i32": (Struct(f"<B{capi.VALUE_OFFSET - 1}xI"), capi.I32),
    "i64": (Struct(f"<B{capi.VALUE_OFFSET - 1}xQ"), capi.I64),
}
"""How the one result of an asynchronous function is written, by its core type."""
_DROP = Function("drop", Kind.WASI, (("self", Scalar.U32),))


def export_name(number: int) -> str:
    """Return under which name the adapter exports a host function of the plan."""
    return f"f{number}"


def check_imports(plan: ComponentPlan) -> Interface | None:
    """Check that all that a component imports is offered; return the process interface among it. Raises BadModule."""
    known = [name for name in plan.imports if name in INTERFACES]
    for name in plan.imports:
        if name not in INTERFACES and wasi_interface(name) is None:
            raise BadModule(f"it imports {name!r}, which this node does not offer")
    if len(set(known)) > 1:
        raise BadModule(f"it imports two versions of one interface: {known[0]} and {known[1]}")
    for each in plan.host:
        _check_options(each, _offered(each))
    return INTERFACES[known[0]] if known else None


def _check_options(wanted: LoweredFunction, found: Function | WasiFunction | str) -> None:
    """Check that a function has the options that its type asks for. Raises BadModule."""
    if isinstance(found, str):
        return
    function = found.function if isinstance(found, WasiFunction) else found
    core, result = signature(function), function.result
    in_memory = core.spilled or core.returns_through_pointer or any(has_pieces(kind) for _, kind in function.params)
    gets_memory = result is not None and has_pieces(result)
    missing = None
    if in_memory and wanted.memory is None:
        missing = "a memory"
    elif gets_memory and wanted.realloc is None:
        missing = "a function that gives memory"
    if missing:
        raise BadModule(f"it calls {wanted.name!r} of {wanted.interface!r} without {missing}, which that needs")


def _offered(wanted: LoweredFunction) -> Function | WasiFunction | str:
    """Return what is behind a function, for one that drops the kind of resource. Raises BadModule."""
    interface, name, *_ = wanted
    found: Function | WasiFunction | str | None
    if interface in INTERFACES:
        found = INTERFACES[interface].function(name)
    elif name.startswith(DROP):
        found = wasi_resource(interface, name.removeprefix(DROP))
    else:
        found = wasi_function(interface, name)
    if found is None:
        raise BadModule(f"it imports the function {name!r} of {interface!r}, which this node does not offer")
    return found


def component_functions(plan: ComponentPlan, running: Running) -> tuple[list[Adapted], list[HostFunction]]:
    """Return what the adapter of a component offers, and what it imports."""
    adapted, functions = list[Adapted](), pause_and_place(running)
    selects = len(plan.memories) > 1
    for number, wanted in enumerate(plan.host):
        name, found = export_name(number), _offered(wanted)
        memory = wanted.memory if selects else None
        function, callback = _callback(found, wanted.name, memory, running)
        slot = 0 if wanted.realloc is None else FIRST_REALLOC_SLOT + wanted.realloc
        if isinstance(found, WasiFunction) and found.act is None:
            # It writes its result itself, without any memory from the guest: nothing for the adapter to do.
            core = signature(found.function)
            function = Function(name, Kind.WASI, tuple((str(i), _NUMBERS[each]) for i, each in enumerate(core.params)))
            if core.results:
                function = Function(name, Kind.WASI, function.params, _NUMBERS[core.results[0]])
        adapted.append(Adapted(name, function, slot))
        functions.append(HostFunction(HOST, name, host_numbers(function), callback))
    return adapted, functions


_NUMBERS = {"i32": Scalar.U32, "i64": Scalar.U64}


def _callback(
    found: Function | WasiFunction | str, name: str, memory: int | None, running: Running
) -> tuple[Function, Any]:
    """Return a function with the callback, for C, that is behind it."""
    if isinstance(found, str):
        return _DROP, _unchecked(name, _drop(found), running)
    if isinstance(found, Function):
        return found, function_callback(found, running, memory)
    if found.act is None:
        return found.function, _unchecked(name, _not_offered(found, name, memory), running)
    return found.function, asynchronous(name, selecting(_wasi(found), memory), running)


def _unchecked(name: str, act: Callable[[Fiber, int], None], running: Running) -> Any:
    """Return the callback of a function that takes no time."""

    def callback(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest: Fiber = running.guest
        try:
            if guest.lowered is not None:
                raise GuestTrap(INSIDE_REALLOC)
            act(guest, args)
        except BaseException as error:
            return guest.trap_for(name, error)
        return None

    return capi.UncheckedCallback(callback)


def _drop(kind: str) -> Callable[[Fiber, int], None]:
    def drop(guest: Fiber, args: int) -> None:
        assert guest.wasi is not None
        guest.wasi.drop(_U32.unpack_from(ADDRESS_SPACE, args)[0], kind)

    return drop


def _not_offered(found: WasiFunction, name: str, memory: int | None) -> Callable[[Fiber, int], None]:
    """Return what writes into the result that a function is not supported, or traps where the result cannot say so."""
    core, refusal = signature(found.function), found.refusal
    if refusal is None or not core.returns_through_pointer:
        raise_name = f"{found.interface} is not offered by this node"

        def refuse(_guest: Fiber, _args: int) -> None:
            raise GuestTrap(raise_name)

        return refuse
    place = (len(core.params) - 1) * capi.RAW_VALUE_BYTES

    def answer(guest: Fiber, args: int) -> None:
        if memory is not None:
            guest.select_memory(memory)
        (target,) = _U32.unpack_from(ADDRESS_SPACE, args + place)
        if target + len(refusal) > len(guest.memory):
            guest.memory_grew()
        if target + len(refusal) > len(guest.memory):
            raise GuestTrap("the place for a result lies outside the memory")
        guest.memory[target : target + len(refusal)] = refusal

    return answer


def _wasi(found: WasiFunction) -> Act:
    function, do = found.function, found.act
    assert do is not None
    lift, lower = compiled_lift(function), compiled_lower(function)
    handles = [(i, kind) for i, (_, kind) in enumerate(function.params) if isinstance(kind, Handle)]
    results_flat = signature(function).results
    struct, number_kind = _FLAT[results_flat[0]] if results_flat else (None, 0)
    is_case = isinstance(function.result, Variant)  # without a payload, where its result is one number

    def act(guest: Fiber, args: int, results: int) -> bytes:
        values, _, target = lift(guest.lifted_from, ADDRESS_SPACE, args)
        state = guest.wasi
        assert state is not None
        if handles:
            values = list(values)
            for i, kind in handles:
                values[i] = (state.take if kind.owned else state.get)(values[i], kind.resource)
        value = do(state, *values)
        guest.count_call()
        if type(value) is WasiWait:
            return guest.wait(value, lower, target, results)
        if lower is not None:
            guest.lowered = lowered = lower(value, target)
            hand_over_codes(lowered.codes, results)
        elif struct is not None:
            struct.pack_into(ADDRESS_SPACE, results, number_kind, value[0] if is_case else value)
        return guest.go_on()

    return act
