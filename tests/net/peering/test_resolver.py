"""What a node asks its registrar, without a network."""

from dataclasses import replace

import cbor2
import pytest

from net.base.ciphers import Cipher
from net.base.errors import (
    RETRY_CODE,
    BadNameRecord,
    BadSignature,
    ForeignKey,
    InvitationNeeded,
    InvitationRefused,
    InvitationUsed,
    KeyHasNames,
    NameTaken,
    RecordExpired,
    RecordFromTheFuture,
    RecordInvalid,
    RecordNotKept,
    RecordTooLong,
    RegistrarFull,
    RegistrationRefused,
    StaleSequence,
)
from net.base.frames import Found, Granted, Lookup, Refused, Register
from net.base.limits import COPY_SECONDS, FIRST_RECORD_SECONDS, MAX_RETRY_SECONDS, PROVEN_SECONDS, RECORD_SECONDS
from net.base.wall_clock import WallClock
from net.contract.events import (
    FailureReason,
    NetEvent,
    Outdated,
    Registered,
    RegistrationFailed,
    SequenceSigned,
    Superseded,
)
from net.names.directory import Endpoint, RegistrarDirectory, decode_record_untrusted, grant_record, sign_record
from net.names.own_records import OwnRecords
from net.peering.resolver import Resolver
from net.session.reach import Answer
from tests.net.world import GENESIS, REGISTRAR, cached_directory, identity_of, record_of

ANN = identity_of("ann.test")
BOB = identity_of("bob.test")
HERE = (Endpoint("host", 1),)
AES = (Cipher.AES_GCM,)


def resolver(directory: RegistrarDirectory | None = None) -> tuple[Resolver, list[NetEvent]]:
    """Ann's, and what it tells."""
    events: list[NetEvent] = []
    return Resolver(ANN, directory or RegistrarDirectory(GENESIS), events.append, wall_clock=WallClock(1000.0)), events


def granted(record: bytes) -> bytes:
    """Countersigned by the registrar."""
    return grant_record(decode_record_untrusted(record), REGISTRAR).encode()


def test_a_lookup_is_asked_once_and_again_on_a_new_connection() -> None:
    item, _ = resolver()
    item.look_up("bob.test", 0.0)
    item.look_up("bob.test", 0.0)
    assert (item.next_frame(), item.next_frame()) == (Lookup(1, "bob.test"), None)
    item.connected()
    assert item.next_frame() == Lookup(1, "bob.test")
    item.receive_untrusted(Found(1, granted(record_of(BOB).encode())), 0.0)
    assert (item.next_answer(), item.next_answer()) == (("bob.test", Answer.KNOWN), None)
    assert not item.busy


def test_a_second_answer_is_ignored() -> None:
    item, _ = resolver()
    item.look_up("bob.test", 0.0)
    item.receive_untrusted(Found(1, None), 0.0)
    item.receive_untrusted(Found(1, b"junk"), 0.0)
    assert (item.next_answer(), item.next_answer()) == (("bob.test", Answer.UNKNOWN), None)


def test_an_answer_must_be_about_the_name_that_was_asked_for() -> None:
    item, _ = resolver(cached_directory(ANN))
    item.look_up("bob.test", 0.0)
    with pytest.raises(BadNameRecord, match="another name"):
        item.receive_untrusted(Found(1, granted(record_of(ANN).encode())), 0.0)


def test_a_lookup_that_is_not_answered_is_unavailable_after_five_seconds() -> None:
    item, _ = resolver()
    item.look_up("bob.test", 1.0)
    assert item.timers.next() == 6.0
    item.on_timer(6.0)
    assert item.next_answer() == ("bob.test", Answer.UNAVAILABLE)


def test_a_registration_asks_for_the_present_record_and_counts_on_from_it() -> None:
    item, events = resolver()
    item.register(HERE, (), 0.0)
    assert item.next_frame() == Lookup(1, "ann.test")
    item.receive_untrusted(Found(1, granted(record_of(ANN, sequence=4).encode())), 0.0)
    answer = item.next_answer()
    assert answer == ("ann.test", Answer.KNOWN)
    item.answer_registration(Answer.KNOWN, 0.0)
    request = item.next_frame()
    assert isinstance(request, Register)
    record = decode_record_untrusted(request.record).record
    assert (record.sequence, record.endpoints, record.issued_at) == (5, HERE, 1000)
    item.receive_untrusted(Granted(request.request, granted(request.record)), 0.0)
    assert events[-1] == Registered(granted(request.record))
    assert item.own_record == granted(request.record)


def test_a_registration_that_lost_a_race_is_tried_again_three_times() -> None:
    item, events = resolver()
    item.register(HERE, (), 0.0)
    tries = 0
    while (frame := item.next_frame()) is not None:
        if isinstance(frame, Lookup):
            item.receive_untrusted(Found(frame.request, None), 0.0)
            answer = item.next_answer()
            assert answer is not None
            item.answer_registration(answer[1], 0.0)
        elif isinstance(frame, Register):
            tries += 1
            item.receive_untrusted(Refused(frame.request, StaleSequence.code), 0.0)
    assert tries == 4
    assert events == [RegistrationFailed(FailureReason.STALE_SEQUENCE, retries=False)]


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (RecordInvalid, FailureReason.RECORD_REFUSED),
        (NameTaken, FailureReason.NAME_TAKEN),
        (RegistrarFull, FailureReason.REGISTRAR_FULL),
        (BadSignature, FailureReason.BAD_SIGNATURE),
        (ForeignKey, FailureReason.FOREIGN_KEY),
        (RecordExpired, FailureReason.RECORD_EXPIRED),
        (RecordFromTheFuture, FailureReason.RECORD_FROM_THE_FUTURE),
        (RecordNotKept, FailureReason.RECORD_NOT_KEPT),
        (KeyHasNames, FailureReason.KEY_HAS_NAMES),
        (InvitationNeeded, FailureReason.INVITATION_NEEDED),
        (InvitationRefused, FailureReason.INVITATION_REFUSED),
        (InvitationUsed, FailureReason.INVITATION_USED),
    ],
)
def test_every_refusal_has_its_own_reason(refusal: type[RegistrationRefused], reason: FailureReason) -> None:
    item, events = resolver()
    item.register(HERE, (), 0.0)
    item.receive_untrusted(Found(1, None), 0.0)
    item.answer_registration(Answer.UNKNOWN, 0.0)
    item.receive_untrusted(Refused(2, refusal.code), 0.0)
    assert events[0] == RegistrationFailed(reason, retries=reason is FailureReason.RECORD_NOT_KEPT)


def test_an_endpoint_that_changes_while_a_registration_is_under_way_is_registered_too() -> None:
    item, events = resolver()
    there = (Endpoint("elsewhere", 2),)
    item.register(HERE, (), 0.0)
    item.receive_untrusted(Found(1, None), 0.0)
    assert item.next_answer() == ("ann.test", Answer.UNKNOWN)
    item.answer_registration(Answer.UNKNOWN, 0.0)
    frames = list(iter(item.next_frame, None))
    item.register(there, (), 0.0)
    first = frames[-1]
    assert isinstance(first, Register)
    item.receive_untrusted(Granted(first.request, granted(first.record)), 0.0)
    assert events[-1] != Registered(granted(first.record))
    lookup = item.next_frame()
    assert isinstance(lookup, Lookup)
    item.receive_untrusted(Found(lookup.request, granted(first.record)), 0.0)
    item.answer_registration(Answer.KNOWN, 0.0)
    second = item.next_frame()
    assert isinstance(second, Register)
    item.receive_untrusted(Granted(second.request, granted(second.record)), 0.0)
    assert events[-1] == Registered(granted(second.record))
    assert decode_record_untrusted(second.record).record.endpoints == there


def test_a_registrar_out_of_reach_is_asked_again_after_five_seconds() -> None:
    item, events = resolver()
    item.register(HERE, (), 0.0)
    item.next_frame()
    item.unreachable(1.0)
    assert item.next_answer() == ("ann.test", Answer.UNAVAILABLE)
    item.answer_registration(Answer.UNAVAILABLE, 1.0)
    assert RegistrationFailed(FailureReason.UNREACHABLE, retries=True) in events
    assert item.timers.next() == 6.0
    item.on_timer(6.0)
    assert item.next_frame() == Lookup(2, "ann.test")


def test_a_grant_of_another_record_does_not_confuse_it() -> None:
    item, events = resolver(cached_directory(BOB))
    item.register(HERE, (), 0.0)
    item.receive_untrusted(Found(1, None), 0.0)
    item.answer_registration(Answer.UNKNOWN, 0.0)
    with pytest.raises(BadNameRecord):
        item.receive_untrusted(Granted(2, granted(record_of(BOB).encode())), 0.0)
    assert events == []


# --- how long a record is asked for, and when again ------------------------------------------------------------------


def asked(item: Resolver, present: bytes | None, at: float = 0.0) -> Register:
    """What is registered by who is shown `present`."""
    item.register(HERE, (), at)
    request = item.next_frame()
    assert isinstance(request, Lookup)
    item.receive_untrusted(Found(request.request, present), at)
    answer = item.next_answer()
    assert answer is not None
    item.answer_registration(answer[1], at)
    frame = item.next_frame()
    assert isinstance(frame, Register)
    return frame


def seconds_of(frame: Register) -> int:
    """How long the record lasts."""
    record = decode_record_untrusted(frame.record).record
    return record.expires_at - record.issued_at


@pytest.mark.parametrize(
    ("issued_at", "lasts", "seconds"),
    [
        (None, 0, FIRST_RECORD_SECONDS),
        (1001 - PROVEN_SECONDS, FIRST_RECORD_SECONDS, FIRST_RECORD_SECONDS),
        (1000 - PROVEN_SECONDS, FIRST_RECORD_SECONDS, RECORD_SECONDS),
        (1000 - PROVEN_SECONDS, 1, RECORD_SECONDS),
        (1000, FIRST_RECORD_SECONDS + 1, RECORD_SECONDS),
    ],
    ids=("new", "young", "proven", "expired", "established"),
)
def test_a_node_asks_for_a_long_record_when_its_name_is_not_new(
    issued_at: int | None, lasts: int, seconds: int
) -> None:
    events: list[NetEvent] = []
    ahead = PROVEN_SECONDS
    item = Resolver(ANN, RegistrarDirectory(GENESIS), events.append, wall_clock=WallClock(1000.0 + ahead))
    present = None if issued_at is None else record_of(ANN, issued_at=issued_at + ahead, seconds=lasts).encode()
    assert seconds_of(asked(item, None if present is None else granted(present))) == seconds


def test_a_node_that_hears_that_its_name_is_new_asks_for_a_short_record_at_once() -> None:
    events: list[NetEvent] = []
    item = Resolver(ANN, RegistrarDirectory(GENESIS), events.append, wall_clock=WallClock(1e6))
    first = asked(item, granted(record_of(ANN).encode()))
    assert seconds_of(first) == RECORD_SECONDS
    item.receive_untrusted(Refused(first.request, RecordTooLong.code), 0.0)
    again = asked(item, None)
    assert seconds_of(again) == FIRST_RECORD_SECONDS
    item.receive_untrusted(Granted(again.request, granted(again.record)), 0.0)
    assert events[-1] == Registered(granted(again.record))


def test_a_node_that_is_told_to_come_later_does_so_then_and_not_before() -> None:
    item, events = resolver()
    frame = asked(item, None)
    item.receive_untrusted(Refused(frame.request, RETRY_CODE + 42), 3.0)
    assert events[-1] == RegistrationFailed(FailureReason.TRY_LATER, retries=True, seconds=42)
    assert item.timers.next() == 45.0
    item.on_timer(45.0)
    assert isinstance(item.next_frame(), Lookup)


def test_nobody_is_made_to_wait_for_longer_than_a_day() -> None:
    item, events = resolver()
    item.receive_untrusted(Refused(asked(item, None).request, RETRY_CODE + (1 << 60)), 0.0)
    assert events[-1] == RegistrationFailed(FailureReason.TRY_LATER, retries=True, seconds=MAX_RETRY_SECONDS)


def test_an_invitation_is_shown_whenever_the_name_is_registered() -> None:
    events: list[NetEvent] = []
    item = Resolver(ANN, RegistrarDirectory(GENESIS), events.append, invitation=b"token")
    assert asked(item, None).invitation == b"token"


# --- the numbers of the own records -----------------------------------------------------------------------------------


def counting(
    sequence: int | None = None, epoch: int = 0, ciphers: tuple[Cipher, ...] = ()
) -> tuple[Resolver, list[NetEvent]]:
    """Ann's, with numbers that are kept."""
    events: list[NetEvent] = []
    own = OwnRecords((ANN.public_key,), sequence, epoch, keeps_sequence=True)
    clock = WallClock(1000.0)
    return Resolver(ANN, RegistrarDirectory(GENESIS), events.append, wall_clock=clock, own=own, ciphers=ciphers), events


def look_up(item: Resolver, record: bytes | None, now: float) -> None:
    """Answer the lookup of the own name that is under way."""
    lookup = item.next_frame()
    assert isinstance(lookup, Lookup)
    item.receive_untrusted(Found(lookup.request, record), now)
    answer = item.next_answer()
    assert answer is not None
    item.answer_registration(answer[1], now)


def register(item: Resolver, held: bytes | None = None, now: float = 0.0) -> bytes:
    """Register; the disk keeps the number, and the registrar grants the record, which is returned."""
    item.register(HERE, (), now)
    look_up(item, held, now)
    return grant(item, now)


def grant(item: Resolver, now: float) -> bytes:
    assert item.next_frame() is None
    item.sequence_kept(item._own.sequence, now)
    request = item.next_frame()
    assert isinstance(request, Register)
    item.receive_untrusted(Granted(request.request, granted(request.record)), now)
    return granted(request.record)


def copys(sequence: int, epoch: int = 0) -> bytes:
    """A granted record of a copy of the node."""
    record = replace(record_of(ANN, sequence, port=9).record, epoch=epoch)
    return grant_record(sign_record(record, ANN), REGISTRAR).encode()


def numbers(events: list[NetEvent], kind: type[NetEvent]) -> list[int]:
    return [each.record.sequence for each in events if isinstance(each, Outdated | Superseded) and type(each) is kind]


def test_a_record_goes_to_the_registrar_when_its_number_is_kept_and_not_before() -> None:
    item, events = counting(4)
    record = decode_record_untrusted(register(item)).record
    assert record.sequence == 5
    assert events[0] == SequenceSigned(5)
    assert item.own_record is not None


def test_a_boot_registers_anew_though_nothing_has_changed() -> None:
    item, _ = counting(7)
    held = grant_record(sign_record(replace(record_of(ANN, 7).record, endpoints=HERE), ANN), REGISTRAR).encode()
    assert decode_record_untrusted(register(item, held)).record.sequence == 8


def test_g21_what_the_network_knows_and_the_store_does_not_is_told_before_anything_is_registered() -> None:
    item, events = counting(4)
    item.register(HERE, (), 0.0)
    look_up(item, copys(6), 0.0)
    assert numbers(events, Outdated) == [6]
    assert item.next_frame() is None
    item.raise_epoch(50, 0.0)
    look_up(item, copys(6), 0.0)
    assert numbers(events, Outdated) == [6]
    record = decode_record_untrusted(grant(item, 0.0)).record
    assert (record.sequence, record.epoch) == (7, 50)
    assert item.greets_anew


def test_a_copy_that_registers_later_ends_the_registrations_of_this_one() -> None:
    item, events = counting(4)
    register(item)
    item.shown_untrusted(copys(5), 1.0)
    assert numbers(events, Superseded) == []
    item.shown_untrusted(copys(6), 1.0)
    item.shown_untrusted(copys(7), 1.0)
    assert numbers(events, Superseded) == [6]
    assert item.wanted is None
    assert item.timers.next() is None
    item.revoked(0, 2.0)
    item.on_timer(1e9)
    assert item.next_frame() is None


def test_a_record_that_nobody_has_granted_or_signed_ends_nothing() -> None:
    item, events = counting(4)
    register(item)
    forged = grant_record(replace(record_of(ANN, 9), signature=bytes(64)), REGISTRAR).encode()
    for data in (record_of(ANN, 9).encode(), grant_record(record_of(ANN, 9), BOB).encode(), forged, b""):
        with pytest.raises(BadNameRecord):
            item.shown_untrusted(data, 1.0)
    with pytest.raises(BadNameRecord):
        item.shown_untrusted(grant_record(record_of(BOB, 9), REGISTRAR).encode(), 1.0)
    assert numbers(events, Superseded) == []


def test_a_revocation_renews_the_record_and_a_new_name_keeps_its_age() -> None:
    item, _ = counting(4)
    first = decode_record_untrusted(register(item)).record
    item.revoked(0, 3000.0)
    assert item.timers.next() is not None
    item.on_timer(3000.0)
    look_up(item, granted_bytes(item), 3000.0)
    record = decode_record_untrusted(grant(item, 3000.0)).record
    assert (record.sequence, record.issued_at, record.expires_at) == (6, first.issued_at, first.expires_at)


def granted_bytes(item: Resolver) -> bytes:
    record = item._directory.signed("ann.test")
    assert record is not None
    return record


def test_the_number_of_a_copy_comes_with_the_next_record_or_after_an_hour() -> None:
    item, _ = counting(4)
    register(item)
    item.set_copy_number(3, 10.0)
    item.on_timer(COPY_SECONDS - 1.0)
    assert not any(isinstance(frame, Register) for frame in iter(item.next_frame, None))
    item.on_timer(COPY_SECONDS)
    look_up(item, granted_bytes(item), COPY_SECONDS)
    assert decode_record_untrusted(grant(item, COPY_SECONDS)).record.copy == 3
    again, _ = counting(6)
    again.set_copy_number(2, 0.0)
    assert decode_record_untrusted(register(again, granted_bytes(item), COPY_SECONDS)).record.copy == 3


def test_a_registrar_of_an_older_version_gets_a_record_that_it_understands() -> None:
    item, events = counting(4, epoch=9)
    item.register(HERE, (), 0.0)
    look_up(item, None, 0.0)
    item.sequence_kept(5, 0.0)
    request = item.next_frame()
    assert isinstance(request, Register)
    assert decode_record_untrusted(request.record).record.epoch == 9
    item.receive_untrusted(Refused(request.request, RecordInvalid.code), 0.0)
    look_up(item, None, 0.0)
    item.sequence_kept(6, 0.0)
    request = item.next_frame()
    assert isinstance(request, Register)
    assert decode_record_untrusted(request.record).record.epoch == 0
    item.receive_untrusted(Refused(request.request, RecordInvalid.code), 0.0)
    assert events[-1] == RegistrationFailed(FailureReason.RECORD_REFUSED, retries=False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [(11, [(AES, 9)]), (10, [(AES, 9), ((), 9)]), (8, [(AES, 9), ((), 9), ((), 0)])],
)
def test_a_registrar_before_ciphers_still_learns_what_a_node_has_revoked(
    fields: int, said: list[tuple[tuple[Cipher, ...], int]]
) -> None:
    """One of the second release has epochs and no ciphers; one of the first has neither."""
    item, events = counting(4, epoch=9, ciphers=AES)
    item.register(HERE, (), 0.0)
    asked = []
    for number in range(5, 5 + len(said)):
        look_up(item, None, 0.0)
        item.sequence_kept(number, 0.0)
        request = item.next_frame()
        assert isinstance(request, Register)
        signed = decode_record_untrusted(request.record)
        asked.append((signed.record.ciphers, signed.record.epoch))
        if len(cbor2.loads(signed.body)) > fields:
            item.receive_untrusted(Refused(request.request, RecordInvalid.code), 0.0)
        else:
            item.receive_untrusted(Granted(request.request, grant_record(signed, REGISTRAR).encode()), 0.0)
    assert asked == said
    assert isinstance(events[-1], Registered)


def test_a_look_at_the_own_record_that_finds_no_registrar_is_no_failure() -> None:
    item, events = counting(4)
    register(item)
    told = len(events)
    item.timers.set("check", 1.0)
    item.on_timer(1.0)
    assert item.check_due
    item.check(1.0)
    item.on_timer(30.0)
    answer = item.next_answer()
    assert answer == ("ann.test", Answer.UNAVAILABLE)
    item.answer_registration(Answer.UNAVAILABLE, 30.0)
    assert events[told:] == []
