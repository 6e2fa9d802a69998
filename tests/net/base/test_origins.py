"""Which strangers count as one."""

import pytest

from net.base.origins import Coverage, Origin, address_of, origins_of


@pytest.mark.parametrize(
    ("host", "origins"),
    [
        ("1.2.3.4", [("1.2.3.4", Coverage.HOST)]),
        ("::ffff:1.2.3.4", [("1.2.3.4", Coverage.HOST)]),
        ("2001:db8:1:2:3:4:5:6", [("2001:db8:1:2::/64", Coverage.HOST), ("2001:db8:1::/48", Coverage.SITE)]),
        ("2001:DB8:1:2::9", [("2001:db8:1:2::/64", Coverage.HOST), ("2001:db8:1::/48", Coverage.SITE)]),
        ("127.0.0.1", [("loopback", Coverage.LOCAL)]),
        ("127.3.2.1", [("loopback", Coverage.LOCAL)]),
        ("::1", [("loopback", Coverage.LOCAL)]),
        ("::ffff:127.0.0.1", [("loopback", Coverage.LOCAL)]),
        ("10.0.0.7", [("10.0.0.7", Coverage.LOCAL)]),
        ("192.168.1.2", [("192.168.1.2", Coverage.LOCAL)]),
        ("fe80::1%eth0", [("fe80::/64", Coverage.LOCAL)]),
        ("fd00::1", [("fd00::/64", Coverage.LOCAL)]),
        ("host.test", [("host.test", Coverage.HOST)]),
        ("", [("", Coverage.HOST)]),
    ],
)
def test_the_units_of_an_address(host: str, origins: list[tuple[str, Coverage]]) -> None:
    assert list(origins_of(host)) == [Origin(*each) for each in origins]


def test_an_address_of_this_machine_is_one_of_its_own_at_a_router() -> None:
    assert len({address_of(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "1.2.3.4")}) == 4
    assert address_of("2001:db8::1") == address_of("2001:db8::2")
