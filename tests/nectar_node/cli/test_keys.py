"""`nectar keys`: made, shown, moved, protected and changed; nothing is replaced by accident, no password is seen."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import NODES_FOLDER, GenesisFile
from nectar_node.driver.membership import read_keys
from nectar_node.launcher import passwords
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.node_config import make_config
from nectar_node.launcher.passwords import with_password
from net.base.errors import WrongPassword
from net.names import keyfile
from net.names.keyfile import read_key_file, unlock_key_file
from tests.cheap_keys import CHEAP
from tests.commands import nectar

Nectar = Callable[..., str]
NAME = "a.nec"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that cost nothing to try, and none that the environment names."""
    monkeypatch.setattr(keyfile, "DEFAULT_COST", CHEAP)
    monkeypatch.delenv(passwords.VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """Of the node, which has no key yet."""
    return NodeFolder(tmp_path / "net" / NODES_FOLDER / NAME)


@pytest.fixture
def keys(tmp_path: Path) -> Nectar:
    """Run `nectar keys …`; its output if all is well, otherwise the one sentence about what is not."""

    def run(*words: str | Path, directory: str = "net") -> str:
        code, out, err = nectar("keys", *words, folder=tmp_path / directory)
        assert (code == 0) == (out != ""), (code, out, err)
        assert code == 0 or (code in (1, 2) and err.count("\n") == 1)
        return err if code else out

    return run


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with the password."""
    path = tmp_path / "secret"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


def test_a_new_key_is_the_owners_alone_and_is_never_replaced(keys: Nectar, folder: NodeFolder) -> None:
    made = keys("new", NAME, "--no-password")
    assert stat.S_IMODE(folder.key.stat().st_mode) == 0o600
    before = folder.key.read_bytes()
    assert unlock_key_file(folder.key, None).identity.public_key.hex() in made
    assert "keys rotate a.nec" in keys("new", NAME, "--no-password")
    assert folder.key.read_bytes() == before


def test_a_name_that_is_none_gets_no_key(keys: Nectar, tmp_path: Path) -> None:
    assert "is not a node name" in keys("new", "../a", "--no-password")
    assert list(tmp_path.iterdir()) == []


def test_show_needs_no_password_but_a_key(keys: Nectar, folder: NodeFolder, secret: Path) -> None:
    folder.path.mkdir(parents=True)
    assert "make one with `nectar keys new`" in keys("show", NAME)
    keys("new", NAME, "--password-file", secret)
    key = read_key_file(folder.key).key.public_key
    short = sha256(key).digest()[:10].hex(" ", 2)
    told = {"name": NAME, "public_key": key.hex(), "fingerprint": short, "protected": True, "previous": None}
    assert json.loads(keys("show", NAME, "--json")) == told
    has, fingerprint = keys("show", NAME).splitlines()[:2]
    assert has == f"a.nec has the key {key.hex()}, protected."
    assert fingerprint.startswith(f"Its fingerprint is {short}: ")


def test_the_password_comes_from_the_file_that_the_environment_names(
    keys: Nectar, folder: NodeFolder, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(passwords.VARIABLE, str(secret))
    keys("new", NAME)
    assert unlock_key_file(folder.key, b"correct horse").identity.name == NAME
    with pytest.raises(WrongPassword):
        unlock_key_file(folder.key, b"correct horse\n")


def test_without_a_terminal_or_a_file_one_sentence_says_what_to_do(keys: Nectar, folder: NodeFolder) -> None:
    assert passwords.VARIABLE in keys("new", NAME)
    assert not folder.path.exists()


def test_a_password_file_that_everybody_can_read_is_said_and_used(
    tmp_path: Path, folder: NodeFolder, secret: Path
) -> None:
    secret.chmod(0o644)
    ended = nectar("keys", "new", NAME, "--password-file", secret, folder=tmp_path / "net")
    assert (ended.code, "Anybody on this machine can read" in ended.err) == (0, True)
    unlock_key_file(folder.key, b"correct horse")


@pytest.mark.parametrize("content", ["", "\n", "x" * 5000])
def test_a_password_file_without_a_password_is_refused(keys: Nectar, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty").write_text(content)
    (tmp_path / "empty").chmod(0o600)
    assert "is empty, or longer" in keys("new", NAME, "--password-file", tmp_path / "empty")


def test_a_key_moves_to_another_machine_as_it_is(
    keys: Nectar, tmp_path: Path, folder: NodeFolder, secret: Path
) -> None:
    keys("new", NAME, "--password-file", secret)
    copy = tmp_path / "copy"
    keys("export", NAME, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.read_bytes() == folder.key.read_bytes()
    assert "already, and a key is never replaced" in keys("export", NAME, copy)
    keys("import", copy, directory="other")
    moved = tmp_path / "other" / NODES_FOLDER / NAME / "key"
    assert moved.read_bytes() == folder.key.read_bytes()
    assert "already" in keys("import", copy, directory="other")


@pytest.mark.parametrize("place", ["", ".", ".."])
def test_a_copy_is_a_file_with_a_key_and_no_folder(keys: Nectar, tmp_path: Path, place: str) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    assert keys("import", tmp_path / "junk") == f"{tmp_path / 'junk'}: this is not a node key file.\n"
    assert not (tmp_path / "net").exists()
    keys("new", NAME, "--no-password")
    assert "is a folder: name the file in it" in keys("export", NAME, place)


def test_a_password_is_changed_with_the_old_one_alone(
    keys: Nectar, tmp_path: Path, folder: NodeFolder, secret: Path
) -> None:
    keys("new", NAME, "--password-file", secret)
    seed = unlock_key_file(folder.key, b"correct horse").identity.seed
    other = tmp_path / "other password"
    other.write_text("battery staple")
    other.chmod(0o600)
    before = folder.key.read_bytes()
    assert "wrong password for the node key file: nothing was changed, try again" in keys(
        "passwd", NAME, "--password-file", other, "--no-password"
    )
    assert folder.key.read_bytes() == before
    keys("passwd", NAME, "--password-file", secret, "--new-password-file", other)
    assert unlock_key_file(folder.key, b"battery staple").identity.seed == seed
    keys("passwd", NAME, "--password-file", other, "--no-password")
    assert unlock_key_file(folder.key, None).identity.seed == seed


def test_a_key_is_not_left_unprotected_where_a_password_is_given(
    keys: Nectar, folder: NodeFolder, secret: Path
) -> None:
    assert "leave out one of them" in keys("new", NAME, "--no-password", "--password-file", secret)
    assert not folder.path.exists()
    keys("new", NAME, "--password-file", secret)
    words = ("passwd", NAME, "--password-file", secret, "--no-password", "--new-password-file", secret)
    assert "leave out one of them" in keys(*words)
    assert read_key_file(folder.key).protection is not None


def test_a_new_key_keeps_the_former_one_under_the_same_password(keys: Nectar, folder: NodeFolder, secret: Path) -> None:
    keys("new", NAME, "--password-file", secret)
    former = unlock_key_file(folder.key, b"correct horse").identity
    keys("rotate", NAME, "--password-file", secret)
    changed = unlock_key_file(folder.key, b"correct horse")
    assert changed.identity.public_key != former.public_key
    assert changed.previous is not None
    assert changed.previous.seed == former.seed
    assert former.seed not in folder.key.read_bytes()
    assert json.loads(keys("show", NAME, "--json"))["previous"] == former.public_key.hex()
    assert "has yet to grant" in keys("show", NAME)


def test_a_second_change_waits_for_the_first_to_be_granted_and_the_registrars_key_cannot_change(
    keys: Nectar, folder: NodeFolder
) -> None:
    keys("new", NAME, "--no-password")
    keys("rotate", NAME)
    before = folder.key.read_bytes()
    assert "boot it once" in keys("rotate", NAME)
    assert folder.key.read_bytes() == before
    keys("new", "registrar.nec", "--no-password")
    assert "whole network trusts" in keys("rotate", "registrar.nec")


def test_the_key_of_a_running_node_does_not_change(keys: Nectar, tmp_path: Path, folder: NodeFolder) -> None:
    keys("new", NAME, "--no-password")
    keys("export", NAME, tmp_path / "copy")
    lock = folder.acquire()
    try:
        for words in (("passwd", NAME, "--no-password"), ("rotate", NAME), ("import", tmp_path / "copy")):
            assert keys(*words).startswith("a.nec is running, as process ")
        keys("show", NAME)
    finally:
        os.close(lock)


def test_boot_asks_for_nothing_that_it_does_not_need(
    keys: Nectar, tmp_path: Path, folder: NodeFolder, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = LocalNetwork(tmp_path / "net")
    assert passwords.for_boot(folder, None) is None
    keys("new", NAME, "--no-password")
    assert passwords.for_boot(folder, None) is None
    monkeypatch.setenv(passwords.VARIABLE, str(secret))
    keys("passwd", NAME, "--new-password-file", secret)
    options = with_password(network.place(NAME), BootOptions())
    assert options.password == b"correct horse"
    assert "correct" not in repr(options)


def test_a_boot_with_a_wrong_password_says_so_and_what_to_do(keys: Nectar, tmp_path: Path, secret: Path) -> None:
    keys("new", NAME, "--password-file", secret)
    GenesisFile("registrar.nec", bytes(range(32)), "127.0.0.1", 4000).save(tmp_path / "net")
    config = make_config(LocalNetwork(tmp_path / "net"), NAME, BootOptions(password=b"wrong"))
    with pytest.raises(BadInput, match="wrong password for the node key file; boot it again with the right one"):
        read_keys(config)


# --- at a terminal ----------------------------------------------------------------------------------------------------


def at_terminal(tmp_path: Path, *words: str, typed: list[str]) -> tuple[int, str]:
    """Run `nectar keys …` with a terminal of its own at which somebody types; exit code, and what the terminal showed.

    The password is typed when it is asked for: before that the terminal would echo it.
    """
    master, slave = pty.openpty()
    command = [sys.executable, "-P", "-m", "nectar_node", "keys", *words, "--dir", str(tmp_path / "net")]
    shown = bytearray()
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        killer = threading.Timer(30, process.kill)
        killer.start()
        prompts = 0
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            shown += data
            while shown.count(b": ") > prompts and typed:
                prompts += 1
                os.write(master, typed.pop(0).encode() + b"\n")
        code = process.wait()
        killer.cancel()
    os.close(master)
    return code, shown.decode()


def test_at_a_terminal_a_new_password_is_asked_for_twice_and_not_shown(tmp_path: Path, folder: NodeFolder) -> None:
    code, shown = at_terminal(tmp_path, "new", NAME, typed=["hidden", "hidden"])
    assert code == 0
    assert "hidden" not in shown
    assert shown.splitlines()[:2] == ["New password of a.nec: ", "The same again: "]
    assert unlock_key_file(folder.key, b"hidden").identity.name == NAME


def test_two_passwords_that_differ_make_no_key(tmp_path: Path, folder: NodeFolder) -> None:
    code, shown = at_terminal(tmp_path, "new", NAME, typed=["one", "another"])
    assert code == 2
    assert shown.splitlines()[-1] == "The two passwords differ: nothing was changed."
    assert not folder.key.exists()
