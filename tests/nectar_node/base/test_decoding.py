"""JSON becomes values of the types of its readers, or one sentence about what is wrong and where."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nectar_node.base.decoding import BadShape, HexBytes, Port, Size, convert_untrusted, decode_untrusted


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: HexBytes
    path: Path | None = None


class Outer(msgspec.Struct, frozen=True):
    port: Port
    name: str = ""
    ready: bool = False
    seconds: float | None = None
    inner: tuple[Inner, ...] = ()
    pair: tuple[str, Size] | None = None


def test_values_of_the_right_types_are_decoded() -> None:
    found: Outer = decode_untrusted(b'{"port":7,"inner":[{"key":"ff00","path":"/x"}],"pair":["a",2],"more":1}', Outer)
    assert found == Outer(7, inner=(Inner(HexBytes(b"\xff\x00"), Path("/x")),), pair=("a", 2))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"port": "7"}', "port must be a whole number, and not a text"),
        ('{"port": true}', "port must be a whole number, and not true or false"),
        ('{"port": 7.0}', "port must be a whole number, and not a number"),
        ('{"port": 65536}', "port must be a whole number of at most 65535"),
        ('{"port": -1}', "port must be a whole number of at least 0"),
        ('{"port": 7, "ready": 1}', "ready must be true or false, and not a whole number"),
        ('{"port": 7, "seconds": "1"}', "seconds must be a number or null, and not a text"),
        ('{"port": 7, "pair": ["a"]}', "pair must be an array of length 2"),
        ('{"port": 7, "pair": [1, 2]}', "pair[0] must be a text, and not a whole number"),
        ('{"port": 7, "inner": [{}]}', "inner[0].key is missing"),
        ('{"port": 7, "inner": [{"key": "", "kex": 1}]}', "inner[0].kex is not known"),
        ('{"port": 7, "inner": [{"key": 1}]}', "inner[0].key must be a text"),
        ('{"port": 7, "inner": [{"key": "fx"}]}', "inner[0].key: non-hexadecimal number found"),
        ("{}", "port is missing"),
        ("[]", "it must be an object, and not an array"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_is_expected(text: str, sentence: str) -> None:
    with pytest.raises(BadShape) as refused:
        decode_untrusted(text, Outer)
    assert str(refused.value).startswith(sentence)
    with pytest.raises(BadShape) as refused:
        convert_untrusted(msgspec.json.decode(text), Outer)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"port": NaN}',
        '{"port": 7} 1',
        '{"port": 7, "name": "\ud800"}',
        '{"port": 7, "more": ' + "[" * 100_000,
        b"\xff",
        b'{"name": "\xff"}',
        '{"port": 1e999}',
        '{"port": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(BadShape, match=r"^it is not JSON \("):
        decode_untrusted(text, Outer)


def test_a_path_need_not_be_text() -> None:
    text = json.dumps({"key": "", "path": os.fsdecode(b"/\xff")})
    assert decode_untrusted(text, Inner).path == Path(os.fsdecode(b"/\xff"))


def test_a_key_need_not_be_text_either_but_is_refused() -> None:
    with pytest.raises(BadShape):
        decode_untrusted('{"port": 7, "\\ud800": 7}', Outer)
