"""The records of one node, as the node itself counts them: which are its own, and when the next one is due. Pure.

A node knows the highest number that it has ever signed: it is on its disk before the record goes to the registrar. So a
granted record of its key with a higher number is a copy's, which has the same key, or its own of a time that its disk
has forgotten. At a boot, the node comes later in both cases: its store is older than it was, and it goes on above that
number. Once it has been granted a record at this boot, a higher one is of a copy that has registered since: of all
copies of a node, the one that registered last stays. Tests: tests/net/names/test_own_records.py.
"""

from enum import Enum, auto

from net.base.limits import COPY_SECONDS, RENEWAL_SECONDS, RENEWALS_AT_ONCE
from net.base.token_buckets import Allowance
from net.names.directory import NameRecord, SignedRecord


class Finding(Enum):
    """What a granted record of the node's name says about the node."""

    NOTHING = auto()
    """It is the node's own, an older one, or of a key that is not the node's."""
    OUTDATED = auto()
    """What the node has kept is older than what it has signed before: the network knows more."""
    SUPERSEDED = auto()
    """A copy of the node has registered after it."""


class OwnRecords:
    """What one node knows of its own records."""

    def __init__(
        self, keys: tuple[bytes, ...], sequence: int | None = None, epoch: int = 0, *, keeps_sequence: bool = False
    ) -> None:
        """`keys`: the node's public key, and the former one if it changes. `sequence` is the highest number that it has
        signed at earlier boots; None: that is not known. `epoch` is its revocation epoch. Without `keeps_sequence`
        the numbers are not kept, and nothing is found.
        """
        self._keys = keys
        self._before = sequence
        self.keeps_sequence = keeps_sequence
        """Whether the numbers of its records are kept over a reboot."""
        self.sequence = sequence or 0
        """The highest number that it has signed."""
        self.kept = self.sequence if keeps_sequence else 1 << 63
        """The highest number that is on its disk: what has a higher one does not go to the registrar yet."""
        self.least = self.sequence + 1 if keeps_sequence and sequence is not None else 0
        """The lowest number that its record at the registrar may have: each boot registers anew, under a number of its
        own."""
        self.epoch = epoch
        """What it issued under this number or a lower one is void."""
        self.copy = 0
        """The number of its newest backup copy, as far as it was told."""
        self.granted = 0
        """The highest number that it has been granted at this boot; 0: none yet."""
        self._signed: dict[int, bytes] = {}
        """The bodies of records signed at this boot, by number, from the granted one on."""
        self._signed_at = 0.0
        """When it signed its last record."""
        self._renewals: Allowance[None] = Allowance(RENEWALS_AT_ONCE, RENEWAL_SECONDS, 1)

    def sign(self, sequence: int, body: bytes, now: float) -> None:
        """Note a record that the node has signed now."""
        if self.keeps_sequence:
            self.sequence = max(self.sequence, sequence)
        self._signed[sequence] = body
        self._signed_at = now

    def judge(self, signed: SignedRecord) -> Finding:
        """Return what a record of the node's name says, which the registrar has granted."""
        record = signed.record
        if not self.keeps_sequence:
            return Finding.NOTHING
        if self._signed.get(record.sequence) == signed.body:
            self.granted = max(self.granted, record.sequence)
            self._signed = {each: body for each, body in self._signed.items() if each >= self.granted}
            return Finding.NOTHING
        ours = record.public_key in self._keys or signed.change_signed_by(self._keys[0])
        if not ours:
            return Finding.NOTHING
        if self.granted:
            return Finding.SUPERSEDED if record.sequence > self.granted else Finding.NOTHING
        if record.epoch > self.epoch or (self._before is not None and record.sequence > self._before):
            self._before = max(self._before or 0, record.sequence)
            self.sequence = max(self.sequence, record.sequence)
            return Finding.OUTDATED
        return Finding.NOTHING

    # --- renewals ---------------------------------------------------------------------------------------------------

    def revoke(self, epoch: int, now: float) -> float:
        """Note a revocation, which is on the disk; return when the record is to be renewed.

        Each gives the record another number, by which the node notices that it has forgotten one.
        """
        self.epoch = max(self.epoch, epoch)
        return now + self._renewals.wait(None, now)

    def set_copy(self, number: int, now: float) -> float | None:
        """Note the number of the newest copy; return when the record is to be renewed, None: not for this."""
        if number <= self.copy:
            return None
        self.copy = number
        return max(now, self._signed_at + COPY_SECONDS)

    def renew(self, now: float) -> None:
        """Let the next record have another number than any before."""
        self._renewals.take(None, now)
        self.least = self.sequence + 1

    def raise_epoch(self, epoch: int) -> None:
        """Take a new epoch, which the next record has."""
        self.epoch = max(self.epoch, epoch)
        self.least = self.sequence + 1

    def is_wanted(self, record: NameRecord) -> bool:
        """Whether the number of a record of the node is high enough."""
        return record.sequence >= self.least
