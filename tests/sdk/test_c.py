"""The C SDK: the tests of the Zig SDK's functions run on a mirror in C, and its JSON is compared with Python's."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel.contract.guest import Print, SendResponse
from nectar_node.base.errors import DoesNotCompile
from nectar_node.toolchains import c
from packages.build import ROOT
from tests.sdk.test_zig import (  # noqa: F401 the same promises, of another mirror
    Mirror,
    mirror,
    program,
    test_a_line_is_printed_at_its_verbosity,
    test_a_request_is_seen_and_sent_with_all_its_parts,
    test_a_request_may_lack_all_that_is_optional,
    test_a_response_is_seen_with_its_context,
    test_an_awaited_answer_comes_back_with_the_call,
    test_an_awaited_error_comes_back_with_the_call,
    test_an_error_is_seen_with_kind_body_blob_and_context,
    test_an_undelivered_response_is_told_from_a_request,
    test_capabilities_are_listed_saved_and_dropped,
    test_every_signature_is_that_of_the_wit,
    test_on_exit_is_set_and_read_with_its_requests,
    test_several_requests_go_out_with_one_call,
    test_spawn_passes_every_parameter,
    test_state_is_set_read_and_cleared,
    test_ten_thousand_messages_need_no_more_memory_than_a_hundred,
    test_why_a_spawn_failed_is_told_apart,
)
from tests.seeds import examples


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest that calls every function."""
    folder = tmp_path_factory.mktemp("c")
    shutil.copy(Path(__file__).parent / "mirror.c", folder)
    c.build(folder / "mirror.c", folder / "mirror.wasm")
    return folder / "mirror.wasm"


def through(mirror: Mirror, body: bytes) -> bytes:  # noqa: F811
    """What the reader and the writer make of a body."""
    (effect,) = mirror.told("json", body)
    assert isinstance(effect, SendResponse)
    return effect.response.body


def test_a_panic_prints_its_sentence_and_traps(mirror: Mirror) -> None:  # noqa: F811
    assert mirror.told("fail") == [Print(0, "as told")]
    assert mirror.guest.end is not None
    assert mirror.guest.end.trap is not None


def test_an_overflow_traps(mirror: Mirror) -> None:  # noqa: F811
    assert mirror.told("overflow", b"\xff") == []
    assert mirror.guest.end is not None
    assert mirror.guest.end.trap is not None


# --- JSON


def strict(body: bytes) -> Any:
    """What Python reads, objects as arrays of keys and values; raises ValueError for what RFC 8259 calls no JSON."""

    def constant(name: str) -> Any:
        raise ValueError(name)

    def number(text: str) -> float | None:
        value = float(text)
        return value if math.isfinite(value) else None

    def whole(text: str) -> int | float | None:
        value = int(text)
        return value if -(1 << 63) <= value < 1 << 64 else number(text)

    def pairs(items: list[tuple[str, Any]]) -> Any:
        return [each for item in items for each in item]

    text = body.decode("utf-8")
    value = json.loads(text, parse_constant=constant, parse_float=number, parse_int=whole, object_pairs_hook=pairs)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    return value


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
_NEARLY = st.text(alphabet='[]{}:,"\\u0dD8e+-.19ntf \n\x00é', max_size=12)


@given(
    body=st.one_of(
        st.binary(), _NEARLY.map(str.encode), _NUMBERS.map(str.encode), _VALUES.map(json.dumps).map(str.encode)
    )
)
@example(b'"\\ud800"')
@example(b'"\\ud83d\\ude00"')
@example(b'{"a":1,"a":2}')
@example(b"[" * 64 + b"]" * 64)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(200))
def test_what_is_json_comes_through_and_nothing_else_does(mirror: Mirror, body: bytes) -> None:  # noqa: F811
    try:
        expected = strict(body)
    except (ValueError, RecursionError):
        assert through(mirror, body) == b"not JSON"
        return
    found = strict(through(mirror, body))
    assert repr(found) == repr(expected)  # 1 is not 1.0, and -0.0 not 0.0


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(1.7976931348623157e308)
@example(2.2250738585072014e-308)
@example(9007199254740993.0)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(200))
def test_a_float_is_written_in_the_fewest_digits_that_read_back_the_same(mirror: Mirror, value: float) -> None:  # noqa: F811
    written = through(mirror, b"%.20e" % value).decode()
    assert repr(float(written)) == repr(value)
    digits = re.sub(r"^-|\.|e.*$", "", written).strip("0")
    assert len(digits) == len(re.sub(r"^-|\.|e.*$", "", repr(value)).strip("0"))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"9007199254740993.0", 9007199254740992.0),  # halfway, to the even one
        (b"9007199254740993." + b"0" * 900 + b"1", 9007199254740994.0),  # and a little more
        (b"0." + b"0" * 400 + b"1", 0.0),
        (b"2.4703282292062327e-324", 0.0),
        (b"2.4703282292062328e-324", 5e-324),
        (b"1" + b"0" * 400 + b"e-400", 1.0),
        (b"1e-99999999999999999999", 0.0),
        (b"1e99999999999999999999", None),
        (b"1.7976931348623159e308", None),
    ],
)
def test_floats_are_read_exactly(mirror: Mirror, body: bytes, value: float | None) -> None:  # noqa: F811
    assert json.loads(through(mirror, body)) == value


def test_what_is_nested_deeper_than_it_may_be_is_not_json(mirror: Mirror) -> None:  # noqa: F811
    assert through(mirror, b"[" * 65 + b"]" * 65) == b"not JSON"
    assert through(mirror, b"[" * 1_000_000) == b"not JSON"


# --- compiling


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('#include "nectar.h"\n\nvoid f(\n', "main.c:3:8: expected parameter declarator"),
        ('#include "nectar.h"\nvoid nectar_main(nectar_address our) {}\n', "main.c:2:33: unused parameter 'our'"),
        ('#include "missing.h"\n', "main.c:1:10: 'missing.h' file not found"),
        ('#include "nectar.h"\nint f(void) {\n    return nectar_format("%d", "x").len;\n}\n', "main.c:3:32: "),
        ("int x;\n", "main.c does not compile: "),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_the_authors_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "main.c").write_text(text)
    with pytest.raises(DoesNotCompile) as caught:
        c.build(tmp_path / "main.c", tmp_path / "out.wasm")
    assert str(tmp_path / says) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.wasm").exists()


def test_the_same_source_gives_the_same_bytes_in_another_folder_and_no_path_is_in_it(tmp_path: Path) -> None:
    made = []
    for name in ("one", "another"):
        shutil.copytree(ROOT / "sdk" / "c" / "examples" / "counter", tmp_path / name)
        (tmp_path / name / "counter.c").write_text((tmp_path / name / "counter.c").read_text() + f"/* {name} */\n")
        c.build(tmp_path / name / "counter.c", tmp_path / f"{name}.wasm")
        made.append((tmp_path / f"{name}.wasm").read_bytes())
    assert made[0] == made[1]
    assert bytes(tmp_path) not in made[0]
    assert len(made[0]) < 30_000


def test_what_is_not_called_is_not_in_a_process(tmp_path: Path) -> None:
    c.build(ROOT / "sdk" / "c" / "examples" / "echo" / "echo.c", tmp_path / "echo.wasm")
    assert (tmp_path / "echo.wasm").stat().st_size < 4000
