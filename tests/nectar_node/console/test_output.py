"""How numbers and texts look."""

from __future__ import annotations

import pytest

from nectar_node.console import output


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 28, "256.0 MiB"), (1 << 51, "2048.0 TiB")],
)
def test_a_number_of_bytes_has_the_largest_unit_that_fits(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.99, "10.0 s"), (42.0, "42 s"), (59.9, "1:00"), (185.0, "3:05"), (7385.0, "2:03:05")],
)
def test_a_number_of_seconds_is_as_exact_as_people_need(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_texts_lose_what_could_control_a_terminal_or_has_no_encoding() -> None:
    assert output.printable("Grüße,\t世界\n\x1b[2J\x07\x9b") == "Grüße,\t世界\n\ufffd[2J\ufffd\ufffd"
    assert output.printable("a\udcffb") == "a?b"
    assert output.one_line("a\n\tb\x1b") == "a  b\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the disk is full", "The disk is full."),
        ("recv.nec is offline.", "recv.nec is offline."),
        ("key: is none", "key: is none."),
        ("", "."),
    ],
)
def test_a_sentence_has_a_capital_letter_and_a_full_stop_but_a_name_stays_as_it_is(text: str, expected: str) -> None:
    assert output.sentence(text) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(["127.0.0.1", 9000], "127.0.0.1:9000"), (None, "-"), (["x"], "-"), ([1, 2], "-")]
)
def test_an_endpoint_is_host_and_port(value: object, text: str) -> None:
    assert output.endpoint(value) == text


def test_without_a_terminal_a_table_is_tab_separated_and_no_line_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A", "B"), [("1", "x\ty")])
    assert capsys.readouterr().out == "A\tB\n1\tx y\n"
    output.console(wrapped=True).print("word " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1


LINES = [("NAME", "STATE", "HOST", "BYTES"), ("some-node.nec", "up", "127.0.0.1", "1.0 KiB")]
TABLE = ("STATE", "HOST", "BYTES")


def test_a_table_that_is_too_wide_leaves_out_what_is_optional_in_its_order_and_no_more() -> None:
    assert output.layout(LINES, 80, TABLE, ("HOST",)) == {"NAME": 13, "STATE": 5, "HOST": 9, "BYTES": 7}
    optional = ("HOST", "BYTES")
    assert list(output.layout(LINES, 40, TABLE, optional)) == ["NAME", "STATE", "HOST", "BYTES"]
    assert list(output.layout(LINES, 39, TABLE, optional)) == ["NAME", "STATE", "BYTES"]
    assert list(output.layout(LINES, 28, TABLE, optional)) == ["NAME", "STATE"]


def test_cells_are_broken_before_what_is_not_optional_goes_but_never_to_nothing() -> None:
    lines = [("NAME", "STATE"), ("n" * 70, "up")]
    assert output.layout(lines, 50, ("STATE",), ()) == {"NAME": 43, "STATE": 5}
    assert output.layout(lines, 10, ("STATE",), ()) == {"NAME": 24, "STATE": 5}
    lines = [("A", "B"), ("a" * 30, "b" * 90)]
    assert output.layout(lines, 80, (), ()) == {"A": 30, "B": 48}
    lines = [("NAME", "PEERS"), ("one.nec", "registrar.nec, two.nec, three.nec")]
    assert output.layout(lines, 10, (), ()) == {"NAME": 7, "PEERS": 14}


@pytest.mark.parametrize(("state", "text"), [("waiting for a message", "idle"), ("starts again in 2 s",) * 2])
def test_a_state_is_a_word_where_there_is_one(state: str, text: str) -> None:
    assert output.short_state(state) == text


def test_a_missing_value_is_a_dash() -> None:
    assert [output.cell({"n": 0, "b": True}, key) for key in ("n", "b", "none")] == ["0", "yes", "-"]
