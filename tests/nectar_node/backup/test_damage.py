"""A remote that gives back altered, old, missing or other data: verify and restore notice, and name it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nectar_node.backup.format import boxes, heads
from nectar_node.backup.format.boxes import TAG_BYTES
from nectar_node.backup.format.errors import BackupError, DamagedBackup, OlderState, WrongPhrase
from nectar_node.backup.format.names import head_name
from nectar_node.backup.format.packs import (
    LENGTH_PART_BYTES,
    Seal,
    Unseal,
    directory_length_untrusted,
    directory_untrusted,
    places,
)
from nectar_node.backup.stores.memory import MemoryRemote
from tests.nectar_node.backup.lab import Files, Lab, Place
from tests.seeds import examples, seeds

MIB = 1 << 20


def backed_up(seed: int, *sizes: int) -> Lab:
    lab = Lab(seed)
    lab.fill(*(sizes or (100, 5000, 300_000)))
    lab.run()
    lab.fill(100, 6000, 300_000)
    lab.run()
    lab.rotate()
    lab.fill(100, 6000, 300_000, 70_000)
    lab.run()
    return lab


def altered(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]


@pytest.mark.parametrize("seed", seeds(2, 50))
def test_one_altered_byte_in_any_object_is_noticed_and_named(seed: int) -> None:
    lab = backed_up(seed)
    random = Random(seed)
    old = [name for name in lab.remote.objects if name.startswith("keys/") and name != lab.sealed[0]]
    for name, data in [*lab.remote.objects.items()]:
        if name in old:
            continue  # a ring that was replaced protects nothing any more
        places = {0, len(data) - 1, random.randrange(len(data))}
        for place in places:
            lab.remote.objects[name] = altered(data, place)
            assert name in lab.damaged()
        lab.remote.objects[name] = data
    assert lab.damaged() == []


def test_each_missing_object_is_noticed_and_named_or_does_not_matter() -> None:
    lab = backed_up(3)
    for name, data in [*lab.remote.objects.items()]:
        del lab.remote.objects[name]
        if name == lab.sealed[0] or name.startswith("packs/"):
            assert name in lab.damaged()
        elif name == head_name(lab.ring, lab.number):
            with pytest.raises(OlderState, match="older state"):
                lab.verify()
        elif name.startswith("heads/"):
            assert name in lab.damaged()
        else:  # an index is found again in its packs; a ring that was replaced is not needed
            assert lab.damaged() == []
            assert lab.restored().files == lab.files.files
        lab.remote.objects[name] = data
    assert lab.damaged() == []


def test_what_is_cut_short_is_noticed_and_named() -> None:
    lab = backed_up(4)
    for name, data in [*lab.remote.objects.items()]:
        if name.startswith("keys/") and name != lab.sealed[0]:
            continue
        for size in (0, 1, 20, len(data) // 2, len(data) - 1):
            lab.remote.objects[name] = data[:size]
            assert name in lab.damaged()
        lab.remote.objects[name] = data


def test_two_objects_that_changed_places_are_noticed() -> None:
    lab = backed_up(5)
    for kind in ("packs/", "heads/", "index/"):
        one, other, *_ = [name for name in lab.remote.objects if name.startswith(kind)]
        objects = dict(lab.remote.objects)
        lab.remote.objects[one], lab.remote.objects[other] = objects[other], objects[one]
        assert {one, other} <= {*lab.damaged()}
        lab.remote.objects = objects


def test_a_chunk_in_the_place_of_another_is_noticed() -> None:
    """Only somebody with the keys could put it there: its id is what tells."""
    lab = Lab(6)
    lab.fill(3000, 3000)
    lab.run()
    (name,) = (each for each in lab.remote.objects if each.startswith("packs/"))
    key, ids, data = lab.ring.current.data, lab.ring.chunk_ids, lab.remote.objects[name]
    length = directory_length_untrusted(name, data[:LENGTH_PART_BYTES], key)
    assert length is not None
    directory = directory_untrusted(name, data[LENGTH_PART_BYTES : LENGTH_PART_BYTES + length + TAG_BYTES], key)
    found = [*(places(directory or b"", len(data)) or ())]
    one, other, *more = Unseal(name, key, ids, data, 0, found).perform()
    exchanged = [(place.chunk, chunk or b"") for place, chunk in zip(found, (other, one, *more), strict=True)]
    lab.remote.objects[name] = Seal(name, key, exchanged).perform().data
    assert lab.damaged() == [name]
    with pytest.raises(DamagedBackup, match=name):
        lab.restored()


def test_another_nodes_data_is_named_and_harms_nothing() -> None:
    lab, other = backed_up(6), backed_up(7)
    lab.remote.objects |= other.remote.objects
    strangers = {name for name in other.remote.objects if not name.startswith("keys/")}
    assert {*lab.damaged()} == strangers
    assert lab.restored().files == lab.files.files
    with pytest.raises(WrongPhrase):
        lab.restored(remote=other.remote)


def test_an_altered_index_costs_nothing_but_time() -> None:
    lab = backed_up(8)
    for name, data in [*lab.remote.objects.items()]:
        if name.startswith("index/"):
            lab.remote.objects[name] = altered(data, 100)
    assert lab.restored().files == lab.files.files


def test_an_altered_pack_is_named_by_restore() -> None:
    lab = backed_up(9)
    packs = [name for name in lab.remote.objects if name.startswith("packs/")]
    for name in packs:
        lab.remote.objects[name] = altered(lab.remote.objects[name], 3000)
    with pytest.raises(DamagedBackup) as error:
        lab.restored()
    assert error.value.name in packs
    assert error.value.name in str(error.value)
    assert "disk" in str(error.value)


def test_the_next_run_stores_again_what_was_lost() -> None:
    lab = backed_up(10)
    for name in [*lab.remote.objects]:
        if name.startswith("packs/"):
            del lab.remote.objects[name]
    report = lab.run()
    assert report.damages
    assert lab.restored().files == lab.files.files


def test_a_head_that_is_signed_by_nobody_is_refused() -> None:
    """Whoever has the key of heads alone cannot write one."""
    lab = backed_up(11)
    name = head_name(lab.ring, lab.number)
    payload = boxes.unseal(name, lab.remote.objects[name], lab.ring.current.head)
    assert payload is not None
    forged = payload[:-1] + bytes([payload[-1] ^ 1])  # the last byte of the signature
    lab.remote.objects[name] = boxes.seal(name, forged, lab.ring.current.head, bytes(24))
    with pytest.raises(DamagedBackup, match="not signed"):
        heads.open_head_untrusted("disk", lab.number, lab.remote.objects[name], lab.ring)
    assert name in lab.damaged()


def test_a_head_of_a_former_epoch_cannot_follow_the_new_one() -> None:
    """The old phrase opens the old keys: they write nothing that is believed any more."""
    lab = backed_up(12)
    thief = Lab(0)
    thief.__dict__.update(lab.__dict__)
    thief.ring = type(lab.ring)(1, lab.ring.backup, lab.ring.root, lab.ring.epochs[:1])
    thief.files = Files({b"node/evil": b"evil"})
    thief.place = Place(lab.remote)
    with pytest.raises(DamagedBackup):
        thief.run()
    thief.place = Place(MemoryRemote({}))
    thief.run()
    lab.remote.objects |= {k: v for k, v in thief.place.remote.objects.items() if not k.startswith("keys/")}
    with pytest.raises(DamagedBackup):
        lab.restored()


def test_the_next_run_goes_on_after_a_newest_head_that_is_damaged() -> None:
    """This copy of the node is known to have put it: nobody else's is lost."""
    lab = backed_up(13)
    damaged = head_name(lab.ring, lab.number)
    lab.remote.objects[damaged] = altered(lab.remote.objects[damaged], 100)
    assert lab.damaged() == [damaged]
    report = lab.run()
    assert [each.name for each in report.damages] == [damaged]
    assert lab.restored().files == lab.files.files
    assert lab.damaged() == []
    lab.fill(50)
    lab.run()
    assert lab.prune(last=2).kept == 2
    assert damaged not in lab.remote.objects
    assert lab.damaged() == []


def test_a_damaged_head_that_may_be_another_copys_is_passed_over_only_if_the_user_says_so() -> None:
    lab = backed_up(14)
    damaged = head_name(lab.ring, lab.number)
    lab.remote.objects[damaged] = b"nothing"
    lab.place.known = None
    with pytest.raises(DamagedBackup, match="--take-over goes on after it"):
        lab.run()
    lab.run(takes_over=True)
    assert lab.restored().files == lab.files.files


def test_a_place_whose_heads_are_all_damaged_takes_copies_again() -> None:
    lab = backed_up(15)
    for name in [name for name in lab.remote.objects if name.startswith("heads/")]:
        lab.remote.objects[name] = b""
    lab.run()
    assert lab.damaged() == []
    assert lab.restored().files == lab.files.files


def test_an_earlier_copy_can_be_restored_when_the_newest_head_is_damaged() -> None:
    lab = Lab(16)
    lab.fill(1000)
    lab.run()
    before, now = dict(lab.files.files), lab.now
    lab.fill(2000)
    lab.run()
    lab.remote.objects[head_name(lab.ring, lab.number)] = b""
    with pytest.raises(DamagedBackup):
        lab.restored()
    assert lab.restored(at=now).files == before


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_remote_returns_is_restored_right_or_refused(data: st.DataObject) -> None:
    lab = backed_up(data.draw(st.integers(0, 3)), 100, 2000)
    names = sorted(lab.remote.objects)
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(names))
        content = lab.remote.objects.get(name, b"")
        match data.draw(st.integers(0, 4)):
            case 0:
                lab.remote.objects[name] = data.draw(st.binary(max_size=200))
            case 1 if content:
                lab.remote.objects[name] = altered(content, data.draw(st.integers(0, len(content) - 1)))
            case 2:
                lab.remote.objects[name] = content + data.draw(st.binary(max_size=100))
            case 3:
                lab.remote.objects[name] = lab.remote.objects.get(data.draw(st.sampled_from(names)), b"")
            case _:
                lab.remote.objects.pop(name, None)
    newest = lab.number
    try:
        restored = lab.restored(least=newest)
    except BackupError:
        return
    except WrongPhrase:
        return
    assert restored.files == lab.files.files
