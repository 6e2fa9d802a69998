"""hosts.toml is read strictly, and whatever is wrong in it is one sentence that names the file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nectar_node.base.errors import BadInput
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.hosts.file import parse_hosts_untrusted, read_hosts_file

PLACE = Path("/lab/hosts.toml")
HOST = '[[hosts]]\nname = "one"\naddress = "10.0.0.1"\nnodes = ["a.nec"]\n'


def test_paths_begin_at_the_file_and_the_first_host_has_the_registrar_unless_another_one_does() -> None:
    two = '[[hosts]]\nname = "two"\naddress = "10.0.0.2"\nnodes = ["b.nec"]\nkey = "id"\n'
    found = parse_hosts_untrusted(f'known_hosts = "known"\nwheels = "w"\n{HOST}{two}'.encode(), PLACE)
    assert (found.known_hosts, found.wheels) == (Path("/lab/known"), Path("/lab/w"))
    assert [host.nodes for host in found.hosts] == [(REGISTRAR_NAME, "a.nec"), ("b.nec",)]
    assert found.hosts[1].key == Path("/lab/id")
    elsewhere = parse_hosts_untrusted((HOST + two.replace("b.nec", REGISTRAR_NAME)).encode(), PLACE)
    assert elsewhere.hosts[0].nodes == ("a.nec",)
    assert elsewhere.names()[0] == REGISTRAR_NAME


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "hosts is missing"),
        ("hosts = []", "hosts must be"),
        ("[[hosts", "not valid"),
        (HOST + 'password = "x"', "password is not known"),
        (HOST + "port = 0", "port of one must be at least 1"),
        (HOST + "port = 65536", "port must be"),
        (HOST + 'port = "22"', "port must be"),
        (HOST.replace('"one"', '"../one"'), "not a name of a host"),
        (HOST.replace("a.nec", "A"), "not a node name"),
        (HOST + HOST, "two hosts are called one"),
        (HOST + HOST.replace("one", "two"), "a.nec is named twice"),
        (HOST.replace("10.0.0.1", "-oProxyCommand=x"), "address of one must"),
        (HOST + 'user = "-l"', "user of one must"),
        (HOST + 'folder = "a\\u0000b"', "folder of one must"),
        (HOST.replace('["a.nec"]', "[]"), "nodes must"),
        (f"hosts_file = 1\n{HOST}", "hosts_file is not known"),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=r"^The hosts file /lab/hosts\.toml") as refused:
        parse_hosts_untrusted(text.encode(), PLACE)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_hosts_file(tmp_path / "hosts.toml")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (HOST + text).encode(errors="replace")))
@example(b"hosts = " + b"[" * 20_000)
def test_any_bytes_are_hosts_or_bad_input(data: bytes) -> None:
    with suppress(BadInput):
        parse_hosts_untrusted(data, PLACE)
