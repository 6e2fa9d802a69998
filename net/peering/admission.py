"""Decides whether the other side of a handshake is the node that it names. Pure; `reception` acts on the decision."""

from dataclasses import dataclass
from enum import Enum, auto

from net.base.errors import BadNameRecord, NotBelieved, UnknownName
from net.names.directory import Directory, HeldRecord, decode_record_untrusted
from net.names.identity import Identity
from net.names.registrar import Registrar
from net.session.reach import Answer
from net.session.session import Connection


class AdmissionVerdict(Enum):
    """What to do with a connection after its handshake."""

    BELIEVED = auto()
    """The peer is the node that it names."""
    GUEST = auto()
    """The peer has no registered name, and this node is the registrar: it may register, and nothing else."""
    LOOK_UP = auto()
    """The name has to be looked up, then the connection is judged again."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of judging a connection."""

    verdict: AdmissionVerdict
    """What to do with the connection."""
    name: str
    """The name that the peer claims."""
    learned: HeldRecord | None = None
    """A granted record that the peer showed and that was new to the directory."""


class Admission:
    """Judges handshakes by the records in the directory."""

    def __init__(self, identity: Identity, directory: Directory) -> None:
        self._identity = identity
        self._directory = directory

    def judge(self, connection: Connection, answer: Answer | None, at: float) -> Ruling:
        """Judge a connection whose greeting has come, at the Unix time `at`; `answer` is the outcome of the lookup that
        the last ruling asked for.

        Raises NotBelieved if the peer is not that node, UnknownName if that cannot be found out.
        """
        greeting = connection.greeting
        assert greeting is not None
        name = greeting.name
        if name == self._identity.name:
            raise NotBelieved("the peer claims our own name")
        if connection.dialed is not None and name != connection.dialed:
            raise NotBelieved(f"the peer is not {connection.dialed}")
        if isinstance(self._directory, Registrar):
            return self._judge_at_registrar(connection, name)
        if connection.dialed is None and answer is None and self._directory.find(name) is None and self._can_ask(name):
            return Ruling(AdmissionVerdict.LOOK_UP, name)
        if self.proven(connection, name):
            return Ruling(AdmissionVerdict.BELIEVED, name, self._learn(greeting.record, name, at))
        learned = self._learn(greeting.record, name, at)
        if learned is not None and self.proven(connection, name):
            return Ruling(AdmissionVerdict.BELIEVED, name, learned)
        if connection.dialed is None and answer is None and self._can_ask(name):
            return Ruling(AdmissionVerdict.LOOK_UP, name)
        if self._directory.find(name) is None:
            raise UnknownName(f"nobody vouches for {name}")
        raise NotBelieved(f"the peer does not hold the key of {name}")

    def _can_ask(self, name: str) -> bool:
        """Return whether the registrar can be asked about `name`. Its own key is fixed, so nobody is asked about it."""
        genesis = self._directory.genesis
        return genesis is not None and genesis.name != name

    def proven(self, connection: Connection, name: str) -> bool:
        """Return whether the peer has shown that it holds the key that the directory now has for `name`."""
        record = self._directory.find(name)
        return record is not None and connection.handshake.proves(record.public_key)

    def _judge_at_registrar(self, connection: Connection, name: str) -> Ruling:
        if self.proven(connection, name):
            return Ruling(AdmissionVerdict.BELIEVED, name)
        greeting = connection.greeting
        assert greeting is not None
        try:
            shown = decode_record_untrusted(greeting.record).record if greeting.record is not None else None
        except BadNameRecord as error:
            raise NotBelieved(f"the peer shows a bad record: {error}") from error
        if shown is None or shown.name != name or not connection.handshake.proves(shown.public_key):
            raise NotBelieved(f"the peer does not hold the key of {name}")
        if connection.dialed is not None:
            raise NotBelieved(f"the peer does not hold the registered key of {name}")
        return Ruling(AdmissionVerdict.GUEST, name)

    def _learn(self, record: bytes | None, name: str, at: float) -> HeldRecord | None:
        """Put the record that the peer shows into the directory if it is the peer's own and granted; return it if it
        was new."""
        if record is None or record == self._directory.signed(name):
            return None  # a known record is not checked again: its signatures take an eighth of a handshake
        try:
            return self._directory.learn_untrusted(record, at, name)
        except BadNameRecord:
            return None
