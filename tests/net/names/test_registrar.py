"""First come, first served; who may change what; and nothing is granted that is not on the disk."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from random import Random

import pytest

from net.base.errors import (
    RETRY_CODE,
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
    TryLater,
)
from net.base.limits import (
    CHANGE_SECONDS,
    CHANGES_AT_ONCE,
    CLOCK_SKEW_SECONDS,
    DOUBT_SECONDS,
    FIRST_RECORD_SECONDS,
    LEAST_PROVEN_SECONDS,
    LOCAL_NAME_SECONDS,
    LOCAL_NAMES_AT_ONCE,
    MAX_NAMES_PER_KEY,
    MAX_REGISTERED_NAMES,
    NAMES_AT_ONCE,
    RECORD_SECONDS,
    SITE_NAMES_AT_ONCE,
    UNUSED_NAME_SECONDS,
    USED_NAME_SECONDS,
)
from net.names.directory import (
    Endpoint,
    HeldRecord,
    NameRecord,
    RegistrarDirectory,
    SignedRecord,
    decode_record_untrusted,
    sign_record,
)
from net.names.identity import Identity
from net.names.invitation import Invitation, sign_invitation
from net.names.registrar import Registrar, _short
from tests.net import world
from tests.net.world import GENESIS, REGISTRAR, identity_of
from tests.seeds import sample

ANN = identity_of("ann.test")
NEW = identity_of("ann.test", "new")
THIEF = identity_of("ann.test", "thief")
NOW = LEAST_PROVEN_SECONDS
"""A time at which a name that was new at 0 is that no longer."""
record_of = partial(world.record_of, seconds=FIRST_RECORD_SECONDS)


def apply(registrar: Registrar, signed: SignedRecord, applicant: Identity, at: float = 0.0) -> HeldRecord:
    """Ask for a grant, as who has proven to be `applicant`."""
    return registrar.register_untrusted(signed.encode(), applicant.name, applicant.public_key.__eq__, at)


def register(registrar: Registrar, signed: SignedRecord, applicant: Identity = ANN, at: float = 0.0) -> HeldRecord:
    """The same, and the disk keeps it."""
    granted = apply(registrar, signed, applicant, at)
    registrar.settle(granted, kept=True)
    return granted


def refused(
    kind: type[RegistrationRefused], registrar: Registrar, signed: SignedRecord, applicant: Identity, at: float = 0.0
) -> None:
    """No grant is given, for that reason."""
    with pytest.raises(kind):
        apply(registrar, signed, applicant, at)


def with_ann(sequence: int = 1) -> Registrar:
    """A registrar at which Ann has her name."""
    registrar = Registrar(REGISTRAR)
    register(registrar, record_of(ANN, sequence))
    return registrar


def lasting(identity: Identity, issued_at: int, expires_at: int, sequence: int = 1) -> SignedRecord:
    """A record with these times."""
    record = replace(record_of(identity, sequence).record, issued_at=issued_at, expires_at=expires_at)
    return sign_record(record, identity)


def test_g21_the_epoch_of_a_name_never_falls() -> None:
    registrar = Registrar(REGISTRAR)
    first = sign_record(replace(record_of(ANN).record, epoch=3), ANN)
    register(registrar, first)
    refused(StaleSequence, registrar, record_of(ANN, 2), ANN)
    register(registrar, sign_record(replace(first.record, sequence=2), ANN))
    register(registrar, sign_record(replace(first.record, sequence=3, epoch=4), ANN))


def test_a_new_names_record_may_be_renewed_with_the_times_that_it_had() -> None:
    registrar, later = with_ann(), 3 * 3600.0
    granted = register(registrar, record_of(ANN, 2), ANN, later)
    assert granted.read().issued_at == 0
    registrar = Registrar(REGISTRAR)
    register(registrar, record_of(ANN, issued_at=100), ANN, 100.0)
    refused(RecordExpired, registrar, record_of(ANN, 2, issued_at=99), ANN, later)


def test_a_name_is_granted_to_the_first() -> None:
    registrar = Registrar(REGISTRAR)
    granted = register(registrar, record_of(ANN))
    assert decode_record_untrusted(granted.encoded).granted_by(REGISTRAR.public_key)
    assert registrar.find("ann.test") == record_of(ANN).record
    refused(NameTaken, registrar, record_of(THIEF, sequence=99), THIEF)
    assert registrar.find("ann.test") == record_of(ANN).record


def test_a_grant_is_not_seen_before_it_is_kept_but_nobody_else_gets_the_name() -> None:
    registrar = Registrar(REGISTRAR)
    granted = apply(registrar, record_of(ANN), ANN)
    assert (registrar.find("ann.test"), registrar.signed("ann.test"), registrar.records()) == (None, None, [])
    refused(NameTaken, registrar, record_of(THIEF, sequence=2), THIEF)
    registrar.settle(granted, kept=True)
    assert registrar.signed("ann.test") == granted.encoded


def test_a_grant_that_the_disk_does_not_keep_was_never_given() -> None:
    registrar = Registrar(REGISTRAR)
    registrar.settle(apply(registrar, record_of(ANN), ANN), kept=False)
    assert registrar.find("ann.test") is None
    register(registrar, record_of(THIEF), THIEF)


def test_a_change_needs_a_higher_sequence() -> None:
    registrar = with_ann(sequence=5)
    for sequence in (4, 5):
        refused(StaleSequence, registrar, record_of(ANN, sequence, port=1), ANN)
    register(registrar, record_of(ANN, sequence=6, port=1))
    assert registrar.find("ann.test") == record_of(ANN, sequence=6, port=1).record


def test_a_change_of_what_is_not_kept_yet_needs_a_higher_sequence_too() -> None:
    registrar = Registrar(REGISTRAR)
    first = apply(registrar, record_of(ANN, sequence=5), ANN)
    refused(StaleSequence, registrar, record_of(ANN, sequence=5, port=1), ANN)
    second = apply(registrar, record_of(ANN, sequence=6), ANN)
    registrar.settle(first, kept=False)
    assert registrar.find("ann.test") is None
    registrar.settle(second, kept=True)
    assert registrar.signed("ann.test") == second.encoded


def test_the_same_record_is_granted_again() -> None:
    registrar = with_ann()
    assert apply(registrar, record_of(ANN), ANN).encoded == registrar.signed("ann.test")


def test_a_changed_key_needs_the_old_keys_signature() -> None:
    registrar = with_ann()
    record = record_of(NEW, sequence=2).record
    refused(NameTaken, registrar, sign_record(record, NEW), NEW)
    refused(ForeignKey, registrar, sign_record(record, NEW, THIEF), NEW)
    register(registrar, sign_record(record, NEW, ANN), NEW)
    found = registrar.find("ann.test")
    assert found is not None
    assert found.public_key == NEW.public_key
    refused(NameTaken, registrar, record_of(ANN, sequence=3), ANN)


def test_nobody_registers_a_record_that_is_not_his_own() -> None:
    for applicant in (identity_of("bob.test"), THIEF):
        refused(ForeignKey, Registrar(REGISTRAR), record_of(ANN), applicant)


def test_a_record_with_a_bad_signature_is_told_from_a_malformed_one() -> None:
    signed = replace(record_of(ANN), signature=THIEF.sign(b"nectar/1 name record", record_of(ANN).body))
    refused(BadSignature, Registrar(REGISTRAR), signed, ANN)
    with pytest.raises(RecordInvalid):
        Registrar(REGISTRAR).register_untrusted(b"junk", "ann.test", ANN.public_key.__eq__, 0.0)


def test_a_record_that_has_expired_is_not_granted() -> None:
    refused(RecordExpired, Registrar(REGISTRAR), lasting(ANN, 0, 100), ANN, at=100.0)
    apply(Registrar(REGISTRAR), lasting(ANN, 0, 100), ANN, at=99.9)


@pytest.mark.parametrize(
    ("issued_at", "expires_at"),
    [(CLOCK_SKEW_SECONDS + NOW + 1, RECORD_SECONDS), (NOW, CLOCK_SKEW_SECONDS + RECORD_SECONDS + NOW + 1)],
)
def test_a_record_from_too_far_in_the_future_is_not_granted(issued_at: int, expires_at: int) -> None:
    registrar = with_ann()
    refused(RecordFromTheFuture, registrar, lasting(ANN, issued_at, expires_at, 2), ANN, at=NOW)
    apply(registrar, lasting(ANN, issued_at - 1, expires_at - 1, 2), ANN, at=NOW)


def test_an_expired_name_stays_with_its_key() -> None:
    registrar = with_ann()
    now = FIRST_RECORD_SECONDS
    registrar.expire(now)
    assert (registrar.find("ann.test"), registrar.signed("ann.test")) == (None, None)
    refused(NameTaken, registrar, lasting(THIEF, now, now + 10, 2), THIEF, at=now)
    register(registrar, lasting(ANN, now, now + 10, 2), at=now)
    assert registrar.find("ann.test") is not None


def test_the_registrars_own_name_is_not_for_others() -> None:
    thief = identity_of(REGISTRAR.name, "thief")
    refused(NameTaken, Registrar(REGISTRAR), record_of(thief), thief)


def test_names_are_not_granted_without_end() -> None:
    registrar = Registrar(REGISTRAR, max_names=1)
    bob = identity_of("bob.test")
    first = apply(registrar, record_of(ANN), ANN)
    refused(RegistrarFull, registrar, record_of(bob), bob)
    registrar.settle(first, kept=True)
    refused(RegistrarFull, registrar, record_of(bob), bob)
    register(registrar, record_of(ANN, sequence=2))


def test_what_was_granted_is_there_again_at_the_next_boot() -> None:
    registrar = with_ann()
    again = Registrar(REGISTRAR, registrar.records())
    assert again.signed("ann.test") == registrar.signed("ann.test")
    refused(NameTaken, again, record_of(THIEF, sequence=2), THIEF)


def test_every_refusal_has_its_own_code() -> None:
    kinds = (RecordInvalid, NameTaken, StaleSequence, RegistrarFull, BadSignature, ForeignKey)
    later = (RecordExpired, RecordFromTheFuture, RecordNotKept, RecordTooLong, KeyHasNames)
    uninvited = (InvitationNeeded, InvitationRefused, InvitationUsed)
    assert [kind.code for kind in (*kinds, *later, *uninvited)] == list(range(1, 15))
    assert TryLater("busy", 7).code == RETRY_CODE + 7


# --- how many, and from where ----------------------------------------------------------------------------------------


def newcomer(registrar: Registrar, number: int, host: str, at: float = 0.0, token: bytes | None = None) -> HeldRecord:
    """Somebody new at `host` takes a name, and the disk keeps it."""
    who = identity_of(f"n{number}.test")
    record = record_of(who, issued_at=int(at)).encode()
    granted = registrar.register_untrusted(record, who.name, who.public_key.__eq__, at, host, token)
    use = registrar.use_of(granted)
    for each in (granted, *([] if use is None else [use])):
        registrar.settle(each, kept=True)
    return granted


def flood(registrar: Registrar, hosts: Iterable[str], first: int = 0, at: float = 0.0) -> int:
    """How many names somebody gets who has these hosts."""
    numbers = count(first)
    for host in hosts:
        with suppress(TryLater):
            for number in numbers:
                newcomer(registrar, number, host, at)
    return len(registrar.records())


def test_an_address_gets_so_many_new_names_and_then_one_a_minute() -> None:
    registrar = Registrar(REGISTRAR)
    assert flood(registrar, ["1.2.3.4"]) == NAMES_AT_ONCE
    with pytest.raises(TryLater) as refusal:
        newcomer(registrar, 1000, "1.2.3.4", 20.5)
    assert refusal.value.code == RETRY_CODE + 40
    newcomer(registrar, 1000, "5.6.7.8", 20.5)
    newcomer(registrar, 1001, "1.2.3.4", 60.0)


def test_an_ipv6_site_gets_no_more_for_all_its_networks() -> None:
    hosts = [f"2001:db8:1:{number:x}::1" for number in range(20)]
    assert flood(Registrar(REGISTRAR), hosts) == SITE_NAMES_AT_ONCE


def test_a_thousand_nodes_of_one_machine_join_at_once_and_a_flood_from_there_has_an_end() -> None:
    registrar = Registrar(REGISTRAR, own_hosts=("203.0.113.1",))
    assert LOCAL_NAMES_AT_ONCE > 1000
    for number in range(LOCAL_NAMES_AT_ONCE):
        host = "203.0.113.1" if number % 2 else f"127.0.{number % 200}.1"
        registrar._newcomers.admit_untrusted(f"n{number}.test", host, None, 0.0)
    for host in ("127.0.0.1", "203.0.113.1", "::1"):
        with pytest.raises(TryLater):
            newcomer(registrar, 1, host)
    steady = LOCAL_NAMES_AT_ONCE + (FIRST_RECORD_SECONDS + UNUSED_NAME_SECONDS) / LOCAL_NAME_SECONDS
    assert steady < MAX_REGISTERED_NAMES / 8


def test_a_key_gets_a_few_names_and_a_key_that_changes_is_counted_anew() -> None:
    registrar = Registrar(REGISTRAR)
    seed = bytes(range(32))
    for number in range(MAX_NAMES_PER_KEY):
        who = Identity(f"n{number}.test", seed)
        register(registrar, record_of(who), who)
    more = Identity("more.test", seed)
    refused(KeyHasNames, registrar, record_of(more), more)
    first, changed = Identity("n0.test", seed), Identity("n0.test", bytes(32))
    register(registrar, sign_record(record_of(changed, 2).record, changed, first), changed)
    register(registrar, record_of(more), more)
    again = Registrar(REGISTRAR, registrar.records())
    refused(KeyHasNames, again, record_of(Identity("one-more.test", seed)), Identity("one-more.test", seed))


def test_a_grant_that_the_disk_does_not_keep_counts_for_no_key() -> None:
    registrar = Registrar(REGISTRAR)
    for _ in range(3 * MAX_NAMES_PER_KEY):
        registrar.settle(apply(registrar, record_of(ANN), ANN), kept=False)
    register(registrar, record_of(ANN))


def test_a_name_changes_so_often_and_then_once_each_ten_seconds() -> None:
    registrar = with_ann()
    for sequence in range(2, 2 + CHANGES_AT_ONCE):
        register(registrar, record_of(ANN, sequence))
    refused(TryLater, registrar, record_of(ANN, 99), ANN)
    assert apply(registrar, record_of(ANN, 1 + CHANGES_AT_ONCE), ANN).sequence == 1 + CHANGES_AT_ONCE
    register(registrar, record_of(ANN, 99), at=CHANGE_SECONDS)


# --- names that are free again ---------------------------------------------------------------------------------------


def test_a_new_name_gets_a_short_record_until_it_has_proven_itself() -> None:
    registrar = Registrar(REGISTRAR)
    for too_long in (lasting(ANN, 0, FIRST_RECORD_SECONDS + 1), lasting(ANN, 0, RECORD_SECONDS)):
        refused(RecordTooLong, registrar, too_long, ANN)
    register(registrar, lasting(ANN, 0, FIRST_RECORD_SECONDS))
    refused(RecordTooLong, registrar, lasting(ANN, NOW - 1, RECORD_SECONDS, 2), ANN, at=NOW - 1)
    register(registrar, lasting(ANN, NOW, NOW + RECORD_SECONDS, 2), at=NOW)
    register(registrar, lasting(ANN, NOW, NOW + RECORD_SECONDS, 3), at=NOW)


def test_a_new_name_gets_a_small_record_until_then() -> None:
    registrar = with_ann()
    hosts = tuple(Endpoint("h" * 200, port) for port in range(1, 7))
    large = sign_record(replace(record_of(ANN, 2, issued_at=NOW).record, endpoints=hosts), ANN)
    refused(RecordTooLong, registrar, large, ANN, at=NOW - 1)
    apply(registrar, large, ANN, at=NOW)


@pytest.mark.parametrize("known", [None, "young"])
def test_nobody_proves_a_new_name_with_a_record_that_claims_to_be_old(known: str | None) -> None:
    at = 10 * FIRST_RECORD_SECONDS
    registrar = Registrar(REGISTRAR)
    if known is not None:
        register(registrar, lasting(ANN, at, at + 100), at=at)
    refused(RecordExpired, registrar, lasting(ANN, at - CLOCK_SKEW_SECONDS - 1, at + 100, 2), ANN, at=at)
    apply(registrar, lasting(ANN, at - CLOCK_SKEW_SECONDS, at + 100, 2), ANN, at=at)


@pytest.mark.parametrize(
    ("seconds", "free_after"),
    [
        (FIRST_RECORD_SECONDS, UNUSED_NAME_SECONDS),
        (FIRST_RECORD_SECONDS + 1, USED_NAME_SECONDS),
        (RECORD_SECONDS, USED_NAME_SECONDS),
    ],
)
def test_a_name_is_free_when_its_record_says_so_and_not_before(seconds: int, free_after: int) -> None:
    granted = lasting(ANN, 0, seconds, 7)
    registrar = Registrar(REGISTRAR, [granted.held()])
    free_at = seconds + free_after
    for at in (seconds, free_at - 1):
        assert registrar.expire(at) == []
        refused(NameTaken, registrar, lasting(THIEF, at, at + 10, 99), THIEF, at=at)
    assert registrar.expire(free_at) == ["ann.test"]
    assert registrar.records() == []
    register(registrar, lasting(THIEF, free_at, free_at + 10), THIEF, at=free_at)


def test_a_clock_that_jumps_ahead_for_less_than_an_hour_frees_no_name() -> None:
    registrar = with_ann()
    year = 365 * 24 * 3600
    assert registrar.expire(year) == registrar.expire(year + DOUBT_SECONDS - 1) == []
    assert registrar.expire(100) == []
    assert registrar.find("ann.test") is not None
    assert registrar.expire(year) == []
    assert registrar.expire(year + DOUBT_SECONDS) == ["ann.test"]


# --- invitations -----------------------------------------------------------------------------------------------------


def invite(uses: int = 1, expires_at: int = 1000, name: str | None = None, owner: Identity = REGISTRAR) -> bytes:
    """A token of an invitation of its own."""
    return sign_invitation(Invitation(bytes([uses]) * 16, uses, expires_at, name), owner)


def test_without_an_invitation_nobody_gets_a_new_name_where_one_is_demanded() -> None:
    registrar = Registrar(REGISTRAR, by_invitation=True)
    with pytest.raises(InvitationNeeded):
        newcomer(registrar, 1, "1.2.3.4")
    newcomer(registrar, 1, "1.2.3.4", token=invite())
    register(registrar, record_of(identity_of("n1.test"), 2), identity_of("n1.test"))


@pytest.mark.parametrize(
    "token", [b"junk", invite(owner=ANN), invite(expires_at=5), invite(name="n2.test")], ids=("no", "ann", "old", "n2")
)
def test_an_invitation_that_is_not_for_this_is_refused(token: bytes) -> None:
    with pytest.raises(InvitationRefused):
        newcomer(Registrar(REGISTRAR, by_invitation=True), 1, "1.2.3.4", 5.0, token)


def test_an_invitation_is_good_for_as_many_names_as_it_says_over_all_boots() -> None:
    registrar = Registrar(REGISTRAR, by_invitation=True)
    token = invite(uses=3)
    for number in range(3):
        registrar = Registrar(REGISTRAR, registrar.records(), by_invitation=True)
        newcomer(registrar, number, "1.2.3.4", token=token)
    registrar = Registrar(REGISTRAR, registrar.records(), by_invitation=True)
    with pytest.raises(InvitationUsed):
        newcomer(registrar, 3, "1.2.3.4", token=token)
    newcomer(registrar, 3, "1.2.3.4", token=invite())


def test_a_use_that_the_disk_does_not_keep_was_none() -> None:
    registrar = Registrar(REGISTRAR, by_invitation=True)
    token = invite(name="ann.test")
    for kept in (False, True):
        data = record_of(ANN).encode()
        granted = registrar.register_untrusted(data, ANN.name, ANN.public_key.__eq__, 0.0, "1.2.3.4", token)
        use = registrar.use_of(granted)
        assert use is not None
        registrar.settle(use, kept=kept)
        registrar.settle(granted, kept=kept)
    assert registrar.signed("ann.test") is not None


def test_the_uses_of_an_invitation_are_forgotten_when_it_has_expired() -> None:
    registrar = Registrar(REGISTRAR, by_invitation=True)
    newcomer(registrar, 1, "1.2.3.4", token=invite(expires_at=1000))
    assert len(registrar.records()) == 2
    assert len(registrar.expire(1000 + UNUSED_NAME_SECONDS)) == 1
    assert [each.name for each in registrar.records()] == ["n1.test"]


def test_where_none_is_demanded_an_invitation_lets_in_who_would_have_to_wait() -> None:
    registrar = Registrar(REGISTRAR)
    token = invite()
    newcomer(registrar, 1000, "1.2.3.4", token=token)
    flood(registrar, ["1.2.3.4"])
    newcomer(registrar, 1001, "1.2.3.4", token=token)
    with pytest.raises(InvitationUsed):
        newcomer(registrar, 1002, "1.2.3.4", token=token)


# --- whatever happens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", sample(range(12), 3))
def test_from_any_seed_a_name_has_one_holder_until_its_record_says_that_it_is_free(seed: int) -> None:
    """Against a model that knows the rule of docs/wire.md and nothing else; a cache follows what is granted."""
    rng = Random(seed)
    registrar, cache = Registrar(REGISTRAR), RegistrarDirectory(GENESIS)
    holders: dict[str, NameRecord] = {}
    at = 1_000_000
    for step in range(150):
        at += rng.choice((0, 60, LEAST_PROVEN_SECONDS, FIRST_RECORD_SECONDS, RECORD_SECONDS, USED_NAME_SECONDS))
        for directory in (registrar, cache):
            while (due := directory.next_expiry()) is not None and due <= at:
                directory.expire(due)
        who = identity_of(f"n{rng.randrange(3)}.test", rng.choice("abc"))
        known = holders.get(who.name)
        free = known is None or at >= known.expires_at + (
            USED_NAME_SECONDS if known.expires_at - known.issued_at > FIRST_RECORD_SECONDS else UNUSED_NAME_SECONDS
        )
        proven = not free and known is not None and (known.established or known.issued_at + LEAST_PROVEN_SECONDS <= at)
        seconds = rng.choice((1000, FIRST_RECORD_SECONDS, RECORD_SECONDS))
        sequence = 1 if free or known is None else known.sequence + rng.choice((0, 1, 1, 5))
        signed = lasting(who, at, at + seconds, sequence)
        if known is not None and not free and known.public_key != who.public_key:
            expected: type[RegistrationRefused] | None = NameTaken
        elif signed.record == known:
            expected = None
        elif known is not None and not free and sequence <= known.sequence:
            expected = StaleSequence
        else:
            expected = None if proven or seconds <= FIRST_RECORD_SECONDS else RecordTooLong
        ask = partial(
            registrar.register_untrusted, signed.encode(), who.name, who.public_key.__eq__, at, f"198.51.100.{step}"
        )
        if expected is not None:
            with pytest.raises(expected):
                ask()
        else:
            granted = ask()
            if signed.record != known:
                registrar.settle(granted, kept=True)
                assert cache.learn_untrusted(granted.encoded, at) == granted
            holders[who.name] = signed.record
        for name, record in holders.items():
            if at < record.expires_at:
                assert registrar.find(name) == cache.find(name) == record
            else:
                assert registrar.find(name) is cache.find(name) is None
    assert registrar._names_of == Counter(_short(held.public_key()) for held in registrar._table.records())
