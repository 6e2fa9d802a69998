"""Hosts with an ssh server each: network namespaces around a hub, from which commands are typed."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from testnet.real.nodes.namespaces import HUB, Namespaces, unavailable
from tests.commands import Ended, nectar

PORT = 2222
LIMIT = 60.0
"""Seconds after which an ssh server is taken to hang; no test waits for it to pass."""
CONFIG = """
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
"""


def why_not() -> str | None:
    """Why there are no such hosts here, as a sentence; None: there are."""
    if _sshd() is None or shutil.which("ssh-keygen") is None:
        return "Hosts are reached by ssh: install openssh-server and openssh-client."
    return unavailable()


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


@dataclass
class Rig:
    """Hosts, and a folder with what their users have."""

    folder: Path
    hosts: Namespaces
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        """The user's private key."""
        return self.folder / "key"

    @property
    def file(self) -> Path:
        """The hosts file."""
        return self.folder / "hosts.toml"

    @property
    def known_hosts(self) -> Path:
        """The file with the hosts' keys."""
        return self.folder / "known_hosts"

    def add(self, name: str) -> str:
        """Make a host with an ssh server, and return its address."""
        address = self.hosts.add(f"{name}.host")
        place = self.folder / name
        place.mkdir(mode=0o700)
        _keygen(place / "host_key")
        shutil.copy(self.folder / "key.pub", place / "authorized_keys")
        (place / "sshd_config").write_text(CONFIG.format(port=PORT, folder=place))
        public = " ".join((place / "host_key.pub").read_text().split()[:2])
        with self.known_hosts.open("a") as file:
            file.write(f"[{address}]:{PORT} {public}\n")
        command = [*self.hosts.command(f"{name}.host"), str(_sshd()), "-D", "-e", "-f", str(place / "sshd_config")]
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        self.servers[name] = server
        _await_line(server, b"listening on 0.0.0.0")
        return address

    def write(self, hosts: dict[str, tuple[str, list[str]]], python: str = sys.executable, more: str = "") -> Path:
        """Write hosts.toml: address and nodes of each host by its name."""
        text = f'known_hosts = "{self.known_hosts}"\n{more}\n'
        for name, (address, nodes) in hosts.items():
            text += f'[[hosts]]\nname = "{name}"\naddress = "{address}"\nuser = "root"\nport = {PORT}\n'
            text += f'key = "{self.key}"\nnodes = {nodes}\nfolder = "{self.folder / name / "testnet"}"\n'
            text += f'python = "{python}"\n'
        self.file.write_text(text)
        return self.file

    def nectar(self, *words: str | Path) -> Ended:
        """Run a command in the hub, in the testnet's folder there."""
        return self.start(*words).result()

    def told(self, *words: str | Path) -> str:
        """What a command that succeeds prints, on both streams."""
        ended = self.nectar(*words)
        assert ended.code == 0, ended
        return ended.out + ended.err

    def start(self, *words: str | Path) -> Future[Ended]:
        """Run a command in a thread, which is in the hub."""
        future: Future[Ended] = Future()

        def run() -> None:
            try:
                self.hosts.enter(HUB)
                future.set_result(nectar(*words, folder=self.folder / "here"))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=run).start()
        return future

    def command(self, *words: str | Path) -> list[str]:
        """The command line that runs `nectar` in the hub, in the testnet's folder there, as a process of its own."""
        environment = ["env", f"NECTAR_DIR={self.folder / 'here'}"]
        return [*self.hosts.command(HUB), *environment, sys.executable, "-P", "-m", "nectar_node", *map(str, words)]

    def inside(self, name: str) -> set[int]:
        """The processes on a host, but those of its ssh server."""
        namespace = os.stat(f"/var/run/netns/{self.hosts.command(f'{name}.host')[-1]}").st_ino
        found = set()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
                if os.stat(f"/proc/{entry}/ns/net").st_ino == namespace and words and b"sshd" not in words:
                    found.add(int(entry))
            except OSError:
                continue
        return found

    def await_nothing(self) -> None:
        """Wait until nothing runs on any host but its ssh server."""
        deadline = time.monotonic() + LIMIT
        while any(left := [self.inside(name) for name in self.servers]):
            assert time.monotonic() < deadline, f"processes are left: {left}"
            time.sleep(0.05)

    def await_log(self, node: str, text: str) -> None:
        """Wait until a node has logged that."""
        deadline = time.monotonic() + LIMIT
        while not any(text in path.read_text() for path in self.folder.glob(f"*/testnet/nodes/{node}/log")):
            assert time.monotonic() < deadline, f"{node} has not logged {text!r}"
            time.sleep(0.05)


def _await_line(server: subprocess.Popen[bytes], text: bytes) -> None:
    assert server.stderr is not None
    said = b""
    deadline = time.monotonic() + LIMIT
    while text not in said:
        ready = select.select([server.stderr], [], [], max(0.0, deadline - time.monotonic()))[0]
        piece = os.read(server.stderr.fileno(), 1 << 16) if ready else b""
        assert piece, f"sshd does not listen: {said.decode(errors='replace')}"
        said += piece
    Thread(target=_drain, args=(server,), daemon=True).start()


def _drain(server: subprocess.Popen[bytes]) -> None:
    assert server.stderr is not None
    while server.stderr.read(1 << 16):
        pass


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@contextmanager
def run_rig(folder: Path) -> Iterator[Rig]:
    """Yield a rig without hosts; ends its servers, and whatever runs on the hosts."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # which sshd insists on, and Debian's service makes
    _keygen(folder / "key")
    with Namespaces() as hosts:
        rig = Rig(folder, hosts)
        try:
            yield rig
        finally:
            for server in rig.servers.values():
                server.kill()
                server.wait()
