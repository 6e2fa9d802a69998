"""Which of its addresses a node dials from."""

import pytest

from net.io.source_address import leads_to, only_address


@pytest.mark.parametrize(
    ("addresses", "only"),
    [
        (["127.0.0.7"], "127.0.0.7"),
        (["10.0.0.1", "10.0.0.1"], "10.0.0.1"),
        (["fe80::1%eth0"], "fe80::1%eth0"),
        (["::1", "127.0.0.1"], None),
        (["0.0.0.0"], None),
        (["::"], None),
        ([], None),
    ],
)
def test_it_is_the_single_one_that_the_host_stands_for(addresses: list[str], only: str | None) -> None:
    assert only_address(addresses) == only


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("127.0.0.7", "127.0.0.1"),
        ("10.0.0.1", "192.0.2.1"),
        ("10.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::2%eth0"),
        ("2001:db8::1", "fe80::2%eth0"),
        ("::1", "::1"),
    ],
)
def test_it_leads_to_what_is_as_near(source: str, target: str) -> None:
    assert leads_to(source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("127.0.0.1", "10.0.0.1"),
        ("::1", "2001:db8::1"),
        ("fe80::1%eth0", "2001:db8::1"),
        ("127.0.0.1", "::1"),
        ("::1", "127.0.0.1"),
    ],
)
def test_it_does_not_lead_further_or_to_another_family(source: str, target: str) -> None:
    assert not leads_to(source, target)
