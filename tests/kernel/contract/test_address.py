"""G1: names parse and format without loss, and nothing else is a name."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.errors import BadAddress
from tests.seeds import examples

ENDS = st.sampled_from("az09")
LABEL = ENDS | st.builds("{}{}{}".format, ENDS, st.text("az09-", max_size=10), ENDS)
NAME = st.text("az09_.-", min_size=1, max_size=63)
NODE = st.lists(LABEL, min_size=2, max_size=4).map(".".join)
PROCESS = st.builds(ProcessId, NAME, NAME, NODE | LABEL)


@settings(max_examples=examples(50))
@given(st.builds(Address, NODE, PROCESS))
def test_g1_an_address_parses_and_formats_without_loss(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert ProcessId.parse(str(address.process)) == address.process
    assert PackageId.parse(str(address.process.package_id)) == address.process.package_id


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected node@"),
        ("a:b:c", "expected node@"),
        ("single@a:b:c", "node 'single'"),
        ("-x.nec@a:b:c", "node '-x.nec'"),
        ("x-.nec@a:b:c", "node 'x-.nec'"),
        ("X.nec@a:b:c", "node 'X.nec'"),
        (f"{'a' * 64}.nec@a:b:c", "not a node id"),
        (f"{'a.' * 126}ab@a:b:c", "not a node id"),
        ("x..nec@a:b:c", "node 'x..nec'"),
        ("x.nec\n@a:b:c", "not a node id"),
        ("x.nec@a:b", "expected process:package:publisher"),
        ("x.nec@a:b:c:d", "expected process:package:publisher"),
        ("x.nec@:b:c", "process name ''"),
        (f"x.nec@{'a' * 64}:b:c", "process name"),
        ("x.nec@a:B:c", "package name 'B'"),
        ("x.nec@a:b:c_d", "publisher 'c_d'"),
        ("x.nec@a@b:b:c", "process name 'a@b'"),
    ],
)
def test_g1_anything_else_is_a_bad_address_that_says_which_part_is_wrong(text: str, part: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Address.parse(text)
    assert part in str(caught.value)


@given(st.text(max_size=80))
def test_g1_no_text_makes_parsing_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(BadAddress):
        assert str(Address.parse(text)) == text


def test_g1_our_is_this_node() -> None:
    assert Address.parse("our@a:b:sys").node == "our"
