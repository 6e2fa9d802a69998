"""Guests for figures, as text: small enough that what is measured is the node.

All import `nectar:process/standard@0.7.0`. Their memory is one page: what they receive goes behind HEAP, which starts
again with each message.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

import wasmtime

PACKAGE, PUBLISHER = "ring", "sys"
NAME_DIGITS = 5
"""Characters of a guest's process name, all of them digits, so that it can compute the next one's."""

_HEAP = 4096
_RECEIVED = 1024
"""The address where a message is written: result<tuple<address, message>, …>."""
_BODY = _RECEIVED + 72
"""Pointer and length of a request's body (Component Model, Canonical ABI)."""
_ANSWER = _RECEIVED + 52
"""The same of the body of an answer that was waited for."""
_REQUEST = 2048
"""The address of the parameters of send-request: target at 0, request at 32, context at 88, blob at 100."""
_BLOB = 3072
_STATE = 32768
"""The address of what is saved, behind all that is received."""

_TARGET = "\n".join(
    f"    (i32.store (i32.const {_REQUEST + 8 * field}) (i32.const {place}))"
    f" (i32.store (i32.const {_REQUEST + 8 * field + 4}) (i32.const {length}))"
    for field, (place, length) in enumerate(((0, 3), (16, NAME_DIGITS), (3, len(PACKAGE)), (7, len(PUBLISHER))))
)
"""Node, process, package and publisher; `our` and the latter two lie at the start of the memory."""

_NEXT = f"""
  (func $next (param $text i32) (local $digit i32) (local $at i32)
    ;; our own name stands behind the '@' of our address
    (loop $search
      (local.set $digit (i32.load8_u (local.get $text)))
      (local.set $text (i32.add (local.get $text) (i32.const 1)))
      (br_if $search (i32.ne (local.get $digit) (i32.const 64))))
    (memory.copy (i32.const 16) (local.get $text) (i32.const {NAME_DIGITS}))
    ;; plus one, and after the last number the first
    (local.set $at (i32.const {15 + NAME_DIGITS}))
    (loop $carry
      (local.set $digit (i32.load8_u (local.get $at)))
      (i32.store8 (local.get $at)
        (select (i32.const 48) (i32.add (local.get $digit) (i32.const 1)) (i32.eq (local.get $digit) (i32.const 57))))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $carry (i32.and
        (i32.eq (local.get $digit) (i32.const 57)) (i32.ge_u (local.get $at) (i32.const 16)))))
{_TARGET}
    (i32.store8 (i32.const {_REQUEST + 32}) (i32.const 1)))"""
"""Makes the request that passes on the message being handled: to the next guest, inheriting, no response expected."""

_FRAME = """(module
  (import "nectar:process/standard@0.7.0" "set-state" (func $set_state (param i32 i32)))
  (import "nectar:process/standard@0.7.0" "receive" (func $host_receive (param i32)))
  (import "nectar:process/standard@0.7.0" "get-blob" (func $get_blob (param i32)))
  (import "nectar:process/standard@0.7.0" "send-request" (func $send_request (param i32)))
  (import "nectar:process/standard@0.7.0" "send-and-await-response" (func $await (param i32 i32)))
  (import "nectar:process/standard@0.7.0" "send-response" (func $send_response
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "our{package}{publisher}")
  (global $heap (mut i32) (i32.const {heap}))
  (func (export "cabi_realloc") (param i32 i32) (param $alignment i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $alignment) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $alignment))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $fits (loop $more
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  (func $receive
    (global.set $heap (i32.const {heap}))
    (call $host_receive (i32.const {received})))
  (func $respond
    (call $send_response (i32.const 1) (i32.load (i32.const {body})) (i32.load offset=4 (i32.const {body}))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
{functions}
  (func (export "init") (param $our i32) (param $size i32)
{init}))"""


@lru_cache(None)
def _assembled(init: str, functions: str = "") -> bytes:
    text = _FRAME.format(
        package=PACKAGE,
        publisher=PUBLISHER,
        heap=_HEAP,
        received=_RECEIVED,
        body=_BODY,
        functions=functions,
        init=init,
    )
    return bytes(wasmtime.wat2wasm(text))


def echo() -> bytes:
    """Return a guest that answers each request with its body and its blob, which it does not load."""
    return _assembled("(loop $again (call $receive) (call $respond) (br $again))")


def relay() -> bytes:
    """Return a guest that passes each request on to the guest with the next number, blob included."""
    send = f"(call $send_request (i32.const {_REQUEST}))"
    return _assembled(f"(call $next (local.get $our)) (loop $again (call $receive) {send} (br $again))", _NEXT)


def loader() -> bytes:
    """Return a guest that loads the blob of each request, and answers."""
    load = f"(call $get_blob (i32.const {_BLOB}))"
    return _assembled(f"(loop $again (call $receive) {load} (call $respond) (br $again))")


def saver(count: int, size: int) -> bytes:
    """Return a guest that saves `count` states of `size` bytes, each another, for a request with a body, and answers
    every request.
    """
    save = f"""
  (func $save (local $left i32)
    (local.set $left (i32.const {count}))
    (loop $more
      (i32.store (i32.const {_STATE}) (i32.add (i32.load (i32.const {_STATE})) (i32.const 1)))
      (call $set_state (i32.const {_STATE}) (i32.const {size}))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left))))"""
    asked = f"(if (i32.load offset=4 (i32.const {_BODY})) (then (call $save)))"
    return _assembled(f"(loop $again (call $receive) {asked} (call $respond) (br $again))", save)


_KV = {
    "o": '"Open"',
    "s": '{"Set":{"key":[107],"tx_id":null}}',
    "g": '{"Get":{"key":[107]}}',
    "e": '{"Get":{"key":[107]}}',
}
"""The actions that the first letter of a request's body asks for; `e` asks a guest, which only echoes it."""
_WINDOWED = {"w": "g", "v": "e"}
"""The letters for the same with many of them under way."""
_TARGETS = {"kv": ("our", "kv", "distro", "sys"), "echo": ("our", "echo", PACKAGE, "local")}


def asker_of_kv(sets: int, gets: int, size: int, window: int) -> bytes:
    """Return a guest that opens a database (`o`), sets a value of `size` bytes (`s`), gets it (`g`) or asks `echo` of
    its package, which answers with the same value (`e`): so many times, waiting for each answer. With `w` and `v` it
    gets and asks with `window` requests under way. It answers with the last answer.
    """
    package = f'{{"package_name":"{PACKAGE}","publisher_node":"local"}}'
    texts = {letter: f'{{"package_id":{package},"db":"d","action":{action}}}' for letter, action in _KV.items()}
    texts |= {name: "".join(parts) for name, parts in _TARGETS.items()}
    places, place, data = dict[str, int](), 200, ""
    for name, text in texts.items():
        places[name] = place
        escaped = text.replace('"', '\\"')
        data += f'  (data (i32.const {place}) "{escaped}")\n'
        place += len(text)
    targets = dict[str, str]()
    for name, parts in _TARGETS.items():
        ends = [*accumulate(map(len, parts), initial=places[name])]
        targets[name] = "".join(
            f"(i32.store (i32.const {_REQUEST + 8 * field}) (i32.const {ends[field]}))"
            f"(i32.store (i32.const {_REQUEST + 8 * field + 4}) (i32.const {len(part)}))"
            for field, part in enumerate(parts)
        )
    choices = "".join(
        f"(if (i32.eq (local.get $letter) (i32.const {ord(letter)})) (then {targets['echo' if action == 'e' else 'kv']}"
        f" (local.set $left (i32.const {count}))"
        f" (i32.store (i32.const {_REQUEST + 56}) (i32.const {places[action]}))"
        f" (i32.store (i32.const {_REQUEST + 60}) (i32.const {len(texts[action])}))"
        f" (i32.store8 (i32.const {_REQUEST + 88 + 12 * (letter in _WINDOWED)}) (i32.const {int(action in 'se')}))))"
        for letter, count in (("o", 1), ("s", sets), ("g", gets), ("e", gets), ("w", gets), ("v", gets))
        for action in (_WINDOWED.get(letter, letter),)
    )
    begin = f"""(i32.store8 (i32.const {_REQUEST + 40}) (i32.const 1))
    (i64.store (i32.const {_REQUEST + 48}) (i64.const 60))
    (memory.fill (i32.const {_REQUEST + 88}) (i32.const 0) (i32.const 40))"""
    send = f"(call $send_request (i32.const {_REQUEST}))"
    functions = f"""{data}
  (func $ask_many (param $letter i32) (local $left i32) (local $unsent i32) (local $first i32)
    {begin}
    (i32.store (i32.const {_REQUEST + 116}) (i32.const {_STATE}))
    (i32.store (i32.const {_REQUEST + 120}) (i32.const {size}))
    {choices}
    (local.set $first (i32.const {window}))
    (local.set $unsent (i32.sub (local.get $left) (local.get $first)))
    (loop $begin
      {send}
      (local.set $first (i32.sub (local.get $first) (i32.const 1)))
      (br_if $begin (local.get $first)))
    (loop $more
      (call $receive)
      (if (local.get $unsent) (then {send} (local.set $unsent (i32.sub (local.get $unsent) (i32.const 1)))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left))))
  (func $ask (param $letter i32) (local $left i32)
    {begin}
    (i32.store (i32.const {_REQUEST + 104}) (i32.const {_STATE}))
    (i32.store (i32.const {_REQUEST + 108}) (i32.const {size}))
    {choices}
    (loop $more
      (global.set $heap (i32.const {_HEAP}))
      (i32.store (i32.const {_STATE}) (i32.add (i32.load (i32.const {_STATE})) (i32.const 1)))
      (call $await (i32.const {_REQUEST}) (i32.const {_RECEIVED}))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left))))"""
    letter = f"(i32.load8_u (i32.load (i32.const {_BODY})))"
    windowed = " ".join(f"(i32.eq {letter} (i32.const {ord(each)}))" for each in _WINDOWED)
    ask = f"(if (i32.or {windowed}) (then (call $ask_many {letter})) (else (call $ask {letter})))"
    respond = f"""(call $send_response (i32.const 0) (i32.load (i32.const {_ANSWER}))
      (i32.load offset=4 (i32.const {_ANSWER}))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"""
    return _assembled(f"(loop $again (call $receive) {ask} {respond} (br $again))", functions)


def spinner() -> bytes:
    """Return a guest that never ends."""
    return _assembled("(loop $again (br $again))")
