"""What each fault of links says to a dial, to bytes and to the end of a connection, without any network."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from net.session.sealing import Splitter
from testnet.faults import FAULTS
from testnet.faults.bandwidth import Bandwidth
from testnet.faults.bit_flips import BitFlips
from testnet.faults.black_hole import BlackHole
from testnet.faults.impostor import Impostor
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.no_route import NoRoute
from testnet.faults.nonsense import Nonsense
from testnet.faults.partition import Partition
from testnet.faults.refusal import Refusal
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.replay import MOST_KEPT, Replay
from testnet.faults.reset import ConnectionReset
from testnet.faults.slow_handshake import SlowHandshake
from testnet.faults.stall import Stall
from testnet.model.rule import (
    HOLD,
    LOSE,
    NO_ROUTE,
    PASS,
    REFUSE,
    RESEND,
    Alter,
    Closing,
    Delay,
    Dialing,
    Event,
    Link,
    LinkFault,
    Redirect,
    Reset,
    Verdict,
    fresh,
)
from testnet.model.where import ANY, Where
from tests.testnet.faults.events import AB, ANSWER, DIAL, END, A, B, C, piece, verdict, verdicts

ELSEWHERE = Where(B, C)
EACH_EVENT = (DIAL, ANSWER, piece(), END)
LINK_FAULTS: tuple[LinkFault, ...] = (
    Latency(where=ELSEWHERE),
    Bandwidth(1.0, ELSEWHERE),
    Stall(ELSEWHERE),
    ConnectionReset(where=ELSEWHERE),
    BlackHole(ELSEWHERE),
    Refusal(ELSEWHERE),
    NoRoute(ELSEWHERE),
    Partition(ELSEWHERE),
    BitFlips(1.0, where=ELSEWHERE),
    SlowHandshake(where=ELSEWHERE),
    Loss(ELSEWHERE),
    Replay(ELSEWHERE),
    Nonsense(where=ELSEWHERE),
    RegistrarDown("unreachable", C),
    Impostor(C),
)


@pytest.mark.parametrize("fault", LINK_FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_lets_pass_what_is_on_other_links(fault: LinkFault) -> None:
    assert {verdict(fault, event) for event in EACH_EVENT} == {PASS}


def test_every_fault_of_links_is_among_these() -> None:
    assert {type(fault) for fault in LINK_FAULTS} == {kind for kind in FAULTS.values() if hasattr(kind, "judge")}


def test_latency_delays_everything_by_the_same_and_jitter_each_piece_anew() -> None:
    assert [verdict(Latency(0.25), event) for event in EACH_EVENT] == [Delay(0.25)] * 4
    delays = [each.seconds for each in verdicts(Latency(1.0, 0.5), *[piece()] * 200) if isinstance(each, Delay)]
    assert len(set(delays)) == 200
    assert 1.0 <= min(delays) < 1.05
    assert 1.45 < max(delays) <= 1.5


def test_bandwidth_lets_each_piece_of_a_direction_wait_once_for_those_before_it() -> None:
    said = verdicts(Bandwidth(200.0), piece(), piece(offset=100), piece(connection=2), piece(offset=200, now=5.0))
    assert said == [Delay(0.5), Delay(1.0), Delay(1.5), Delay(0.5)]
    assert verdicts(Bandwidth(100.0), piece(), piece(), piece(now=9.0)) == [Delay(1.0), Delay(1.0), Delay(0.0)]
    assert verdicts(Bandwidth(100.0), piece(), piece(link=AB.back)) == [Delay(1.0), Delay(1.0)]
    assert verdicts(Bandwidth(1.0), DIAL, ANSWER, END) == [PASS, PASS, PASS]


def test_each_fault_is_about_some_events_alone() -> None:
    assert verdicts(Stall(), *EACH_EVENT) == [PASS, PASS, HOLD, PASS]
    one_way = Partition(Where(A, B, both=False))
    assert verdicts(one_way, *EACH_EVENT) == [RESEND, PASS, RESEND, RESEND]
    assert verdict(one_way, piece(link=AB.back)) is PASS
    assert verdicts(Refusal(), *EACH_EVENT) == [REFUSE, PASS, PASS, PASS]
    assert verdicts(NoRoute(), *EACH_EVENT) == [NO_ROUTE, PASS, PASS, PASS]
    assert verdicts(ConnectionReset(), DIAL, ANSWER, END) == [PASS, PASS, PASS]
    assert verdicts(Impostor(B), *EACH_EVENT) == [Redirect("impostor.b.nec"), PASS, PASS, PASS]
    assert verdict(Impostor(A), DIAL) is PASS
    down = RegistrarDown("unreachable")
    to, back = Link(A, "registrar.nec"), Link("registrar.nec", A)
    assert [verdict(down, Dialing(link, 0.0)) for link in (to, back, AB)] == [RESEND, RESEND, PASS]
    assert verdict(RegistrarDown(), Dialing(to, 0.0)) is PASS


@pytest.mark.parametrize(("byte", "said"), [(99, [HOLD, HOLD]), (100, [PASS, HOLD]), (200, [PASS, PASS])])
def test_a_stall_begins_with_the_piece_that_has_the_chosen_byte(byte: int, said: list[Verdict]) -> None:
    assert verdicts(Stall(byte=byte), piece(), piece(offset=100)) == said


@pytest.mark.parametrize("fault", [BlackHole(), Partition()])
def test_in_a_black_hole_and_a_partition_everything_is_lost_until_it_is_sent_again(fault: LinkFault) -> None:
    assert verdicts(fault, *EACH_EVENT) == [RESEND] * 4


@pytest.mark.parametrize("byte", [0, 99, 100, 199])
def test_a_reset_comes_exactly_before_the_chosen_byte(byte: int) -> None:
    said = verdicts(ConnectionReset(byte=byte), piece(), piece(offset=100))
    expected = [Reset(byte), PASS] if byte < 100 else [PASS, Reset(byte - 100)]
    assert said == expected


def test_a_reset_falls_anywhere_as_often_as_its_probability_says() -> None:
    places = {each.after for each in verdicts(ConnectionReset(), *[piece(b"12345")] * 200) if isinstance(each, Reset)}
    assert places == {0, 1, 2, 3, 4, 5}
    said = Counter(type(each) for each in verdicts(ConnectionReset(0.25), *[piece()] * 1000))
    assert 200 < said[Reset] < 300


def flipped(said: object) -> int:
    """Bits that an altered piece of 100 times x has wrong."""
    assert isinstance(said, Alter)
    return sum((one ^ ord("x")).bit_count() for one in said.data)


def test_bits_flip_as_often_as_the_probability_says_and_anywhere() -> None:
    assert [flipped(each) for each in verdicts(BitFlips(1.0, "piece"), *[piece()] * 50)] == [1] * 50
    assert flipped(verdict(BitFlips(1.0), piece())) == 100
    assert verdicts(BitFlips(0.0), piece()) == verdicts(BitFlips(0.0, "piece"), piece()) == [PASS]
    assert verdict(BitFlips(1.0), piece(b"")) is PASS
    said = verdict(BitFlips(0.01), piece(b"x" * 100_000))
    assert isinstance(said, Alter)
    places = [place for place, byte in enumerate(said.data) if byte != ord("x")]
    assert 900 < len(places) < 1100
    assert places[0] < 1000
    assert places[-1] > 99_000


def test_a_slow_handshake_trickles_until_the_last_byte_of_each_connection_and_direction() -> None:
    said = verdicts(SlowHandshake(100.0, 150), piece(), piece(offset=100), piece(offset=200))
    assert said == [Delay(1.0), Delay(1.5), PASS]
    said = verdicts(SlowHandshake(100.0, 150), piece(), piece(connection=2), piece(link=AB.back))
    assert said == [Delay(1.0)] * 3


def test_a_loss_forgets_the_connections_that_are_there_and_no_new_ones() -> None:
    said = verdicts(Loss(), piece(offset=7), piece(connection=2), piece(connection=2, offset=100), END, DIAL, ANSWER)
    assert said == [LOSE, PASS, PASS, LOSE, PASS, PASS]
    assert verdict(Loss(), Closing(AB, 9, 0.0)) is LOSE


def test_a_replay_plays_what_it_has_heard_once_and_no_more_than_it_should() -> None:
    said = verdicts(
        Replay(),
        piece(b"first"),
        piece(b" words", offset=5),
        piece(b"other", connection=2),
        piece(b" talk, longer", connection=2, offset=5),
    )
    assert said == [PASS, PASS, Alter(b"first"), Alter(b" words longer")]
    assert verdicts(Replay(), piece(offset=9), piece(connection=2)) == [PASS, PASS]
    said = verdicts(Replay(), piece(b"ab"), piece(b"ab"), piece(b"cd", offset=2), piece(b"....", connection=2))
    assert said[-1] == Alter(b"abcd")
    long = piece(bytes(MOST_KEPT + 10))
    assert verdicts(Replay(), long, piece(b"x" * 20, connection=2, offset=MOST_KEPT - 10))[-1] == Alter(
        bytes(10) + b"x" * 10
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 100, 70_000])
def test_nonsense_in_pieces_is_whole_pieces(size: int) -> None:
    for seed in range(20):
        said = verdict(Nonsense("pieces"), piece(bytes(size)), seed)
        assert isinstance(said, Alter)
        assert len(said.data) == size
        splitter = Splitter()
        splitter.split(said.data)
        assert splitter.held == (size if size == 1 else 0), seed


def test_nonsense_is_none_of_what_was_said_or_announces_more_and_comes_as_often_as_wanted() -> None:
    said = verdict(Nonsense(), piece(bytes(1000)))
    assert isinstance(said, Alter)
    assert len(set(said.data)) > 200
    said = verdict(Nonsense("lengths"), piece())
    assert isinstance(said, Alter)
    assert (said.data[:2], len(said.data)) == (b"\xff\xff", 100)
    kinds = Counter(type(each) for each in verdicts(Nonsense(probability=0.5), *[piece()] * 200))
    assert 70 < kinds[Alter] < 130


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        (Bandwidth(100.0), piece(offset=100)),
        (SlowHandshake(100.0), piece(offset=100)),
        (Replay(), piece(b"other", connection=2)),
        (Loss(), piece(offset=100)),
    ],
)
def test_a_fresh_fault_remembers_nothing(fault: LinkFault, event: Event) -> None:
    verdict(fault, piece())
    assert fresh(fault) == fault
    assert verdict(fresh(fault), event) != verdict(fault, event)


@pytest.mark.parametrize("link", [AB, AB.back])
def test_chance_is_drawn_from_what_is_given_alone(link: Link) -> None:
    fault = BitFlips(0.5, where=Where(A, ANY))
    assert fault.judge(piece(link=link), Random(3)) == fault.judge(piece(link=link), Random(3))
