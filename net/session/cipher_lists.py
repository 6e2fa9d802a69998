"""Which ciphers other nodes list, and whether that of a handshake is the one that both sides' records ask for.

A dialer chooses by the record of the peer that it has, which may be an old one, or one that somebody would like it to
have. So each side checks the choice by the records that both have shown within the handshake, where nobody else can
change them. If it was wrong, the handshake has failed, and the dialer goes by what it was shown: no choice that the two
would not make by themselves lasts, and none is made twice. Tests: tests/net/peering/test_ciphers.py.
"""

from net.base.ciphers import Cipher, choose
from net.base.errors import BadNameRecord, OtherCipher
from net.base.limits import MAX_SESSIONS
from net.names.directory import Directory, read_record_untrusted
from net.session.session import Connection


def listed_untrusted(record: bytes | None) -> tuple[Cipher, ...]:
    """Return what a record lists that its own node shows; nothing if there is none, or it cannot be read.

    No signature is checked: the node has proven its key in the handshake that carries the record, whoever signed it.
    """
    if record is None:
        return ()
    try:
        return read_record_untrusted(record).record.ciphers
    except BadNameRecord:
        return ()


class CipherLists:
    """What is known of the lists of other nodes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._shown: dict[str, tuple[bytes | None, tuple[Cipher, ...]]] = {}
        """Lists of nodes that have shown another one than the directory has, with the directory's record of then; the
        oldest goes first."""
        self._read: tuple[bytes | None, tuple[Cipher, ...]] = (None, ())
        """The latest record that was read in `of_record`, and its list: this node's own, nearly always."""

    def of(self, name: str) -> tuple[Cipher, ...]:
        """Return what the node `name` lists, as far as it is known here."""
        signed, shown = self._shown.get(name, (None, None))
        if shown is not None and signed == self._directory.signed(name):
            return shown
        record = self._directory.find(name)
        return record.ciphers if record is not None else ()

    def of_record(self, record: bytes | None) -> tuple[Cipher, ...]:
        """Return what a record of this node lists."""
        if record != self._read[0]:
            self._read = record, listed_untrusted(record)
        return self._read[1]

    def check(self, connection: Connection, name: str) -> None:
        """Check the cipher of a handshake in which the node `name` has proven its key. Raises OtherCipher; from then on
        `of` goes by what the node has shown."""
        greeting, handshake = connection.greeting, connection.handshake
        assert greeting is not None
        signed = self._directory.signed(name)
        same = greeting.record is not None and greeting.record == signed
        record = self._directory.find(name) if same else None
        shown = record.ciphers if record is not None else listed_untrusted(greeting.record)
        wanted = choose(self.of_record(handshake.record), shown)
        if wanted is handshake.cipher:
            return
        self._shown.pop(name, None)
        if len(self._shown) >= MAX_SESSIONS:
            del self._shown[next(iter(self._shown))]
        self._shown[name] = signed, shown
        raise OtherCipher(f"{handshake.cipher.title} was chosen by an outdated record; it has to be {wanted.title}")
