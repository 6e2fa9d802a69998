"""Backups: what is backed up is restored bit for bit, what is there is not stored again, what fails costs nothing."""

from __future__ import annotations

import pytest

from nectar_node.backup import writing
from nectar_node.backup.format.errors import CopyElsewhere, DamagedBackup, OlderState, RemoteFailed, WrongPhrase
from nectar_node.backup.format.keys import new_phrase, phrase_key
from nectar_node.backup.format.limits import MAX_CHUNK_BYTES
from nectar_node.backup.stores.memory import MemoryRemote
from tests.nectar_node.backup.lab import MINUTE, START, Files, Lab, Place, kinds
from tests.seeds import seeds

SIZES = (0, 1, 512, 513, 100_000, 3 * MAX_CHUNK_BYTES + 17)
MIB = 1 << 20


def same(one: Files, other: Files) -> bool:
    return one.files == other.files and one.links == other.links


@pytest.mark.parametrize("seed", seeds(3, 100))
def test_what_is_backed_up_is_restored_bit_for_bit(seed: int) -> None:
    lab = Lab(seed)
    lab.fill(*SIZES)
    lab.files.write_file(b"node/\xff not unicode", b"name")
    lab.files.links[b"node/0/link"] = b"../elsewhere"
    lab.run()
    restored = lab.restored()
    assert same(restored, lab.files)
    assert restored.finished >= {b"node", b"node/0", *lab.files.files}
    assert lab.verify().damages == ()


def test_a_file_of_more_chunks_than_its_entry_holds_is_restored() -> None:
    lab = Lab(1)
    lab.fill(24 * MIB)
    lab.run()
    assert same(lab.restored(), lab.files)
    assert lab.verify().damages == ()


def test_what_a_remote_has_is_not_stored_again() -> None:
    lab = Lab(2)
    lab.fill(8 * MIB)
    first = lab.run()
    lab.files.write_file(b"node/copy", lab.files.files[b"node/0/file"])
    second = lab.run()
    assert first.new_bytes > 8 * MIB
    assert second.new_bytes < MIB / 16  # the listing


def test_a_change_in_a_large_file_costs_a_few_chunks() -> None:
    lab = Lab(3)
    lab.fill(12 * MIB)
    lab.run()
    data = lab.files.files[b"node/0/file"]
    lab.files.write_file(b"node/0/file", data[: 6 * MIB] + b"inserted" + data[6 * MIB :])
    assert lab.run().stored_bytes < 3 * MAX_CHUNK_BYTES
    assert same(lab.restored(), lab.files)


def test_a_file_whose_stamp_is_the_same_is_not_read_again() -> None:
    lab = Lab(4)
    lab.fill(1000, 2000)
    lab.run()
    lab.files.reads.clear()
    lab.files.write_file(b"node/0/file", b"x" * 1000)
    lab.run()
    assert lab.files.reads == [b"node/0/file"]
    assert same(lab.restored(), lab.files)


def test_a_file_that_changed_just_before_a_run_is_read_again() -> None:
    lab = Lab(5)
    lab.files.write_file(b"node/file", b"x" * 1000, when=(START + MINUTE) * 1_000_000)
    lab.run()
    lab.files.files[b"node/file"] = b"y" * 1000
    lab.run()
    assert same(lab.restored(), lab.files)


def test_a_file_that_a_power_cut_has_put_back_is_read_again() -> None:
    """Its stamp may be that of the content that is gone; what had long been on the disk then is not read again."""
    lab = Lab(26)
    lab.files.write_file(b"node/long", b"x" * 1000, when=(START - 10 * MINUTE) * 1_000_000)
    lab.files.write_file(b"node/just", b"y" * 1000, when=START * 1_000_000)
    lab.run()
    lab.files.files[b"node/just"] = b"z" * 1000
    lab.files.reads.clear()
    lab.boot = "another"
    lab.run()
    assert lab.files.reads == [b"node/just"]
    assert same(lab.restored(), lab.files)


def test_without_its_cache_a_run_reads_all_and_stores_nothing_again() -> None:
    lab = Lab(6)
    lab.fill(4 * MIB)
    lab.run()
    known = lab.place.known
    lab.place = Place(lab.remote, known)
    assert lab.run().new_bytes == 0


def test_each_copy_can_be_restored_by_its_time() -> None:
    lab = Lab(7)
    copies = []
    for _ in range(6):
        lab.fill(1000, 200_000)
        lab.run()
        copies.append((lab.now, dict(lab.files.files)))
    for now, files in copies:
        assert lab.restored(at=now).files == files
        assert lab.restored(at=now + MINUTE - 1).files == files
    with pytest.raises(RemoteFailed, match="no copy that old"):
        lab.restored(at=copies[0][0] - 1)


def test_each_remote_is_enough_by_itself() -> None:
    lab = Lab(8)
    lab.fill(100_000)
    other = Place()
    lab.run()
    lab.fill(200_000)
    lab.run(other)
    lab.run()
    assert same(lab.restored(), lab.files)
    assert same(lab.restored(remote=other.remote), lab.files)


def test_an_empty_node_can_be_backed_up() -> None:
    lab = Lab(9)
    lab.run()
    assert lab.restored() == Files()


# --- interruptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loses_answers", [False, True])
def test_an_interrupted_run_goes_on_where_it_stopped(loses_answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PACK_RAW_BYTES", 64 * 1024)
    lab = Lab(10)
    lab.fill(3000, 200_000, 90_000)
    lab.run()
    lab.fill(200_000, 90_000, 3000, 300_000)
    whole = _operations(lab)
    stored = []
    for left in range(whole):
        again = _copy(lab)
        again.remote.operations_left, again.remote.loses_answers = left, loses_answers
        with pytest.raises(RemoteFailed):
            again.run()
        assert again.restored(remote=MemoryRemote(again.remote.objects)).files != {}  # the former copy is whole
        packs = {name for name in again.remote.objects if name.startswith("packs/")}
        again.remote.operations_left = None
        report = again.run()
        assert same(again.restored(), again.files)
        assert again.verify().damages == ()
        assert again.unindexed() == []
        stored.append((len(packs), report.new_bytes))
    # Each pack that had arrived is found again, and not stored twice.
    by_packs = dict(sorted(stored))
    assert [*by_packs.values()] == sorted(by_packs.values(), reverse=True)
    assert stored[-1][1] == 0


def _operations(lab: Lab) -> int:
    counted = _copy(lab)
    counted.remote.operations = 0
    counted.run()
    return counted.remote.operations


def _copy(lab: Lab) -> Lab:
    """The same node and remote once more."""
    copy = Lab(0)
    copy.__dict__.update(lab.__dict__)
    copy.random = type(lab.random)()
    copy.random.setstate(lab.random.getstate())
    copy.place = Place(MemoryRemote(dict(lab.remote.objects)), lab.place.known, lab.place.cache)
    return copy


def test_a_full_remote_keeps_its_copies_and_goes_on_when_there_is_room() -> None:
    lab = Lab(11)
    lab.fill(MIB)
    lab.run()
    before = dict(lab.files.files)
    lab.fill(MIB, 9 * MIB)
    lab.remote.room = 2 * MIB
    with pytest.raises(RemoteFailed, match="full"):
        lab.run()
    assert lab.restored().files == before
    lab.remote.room = None
    lab.run()
    assert same(lab.restored(), lab.files)


def test_rights_to_append_are_enough() -> None:
    lab = Lab(12)
    lab.remote.appends_only = True
    lab.fill(MIB)
    lab.run()
    lab.fill(MIB, MIB)
    lab.run()
    lab.rotate()
    lab.run()
    assert same(lab.restored(), lab.files)


def test_nothing_is_ever_put_twice() -> None:
    class Once(MemoryRemote):
        def put(self, name: str, data: bytes) -> None:
            assert name not in self.objects
            super().put(name, data)

    lab = Lab(13)
    lab.place = Place(Once())
    for _ in range(3):
        lab.fill(MIB)
        lab.run()


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_new_phrase_stores_nothing_again_and_replaces_the_old_one() -> None:
    lab = Lab(14)
    lab.fill(8 * MIB)
    lab.run()
    old = lab.phrase
    lab.rotate()
    report = lab.run()
    assert report.new_bytes == 0
    assert same(lab.restored(), lab.files)
    with pytest.raises(Exception, match="is the phrase old"):
        lab.restored(phrase=old)
    lab.prune()
    assert same(lab.restored(), lab.files)
    with pytest.raises(WrongPhrase):
        lab.restored(phrase=old)
    assert kinds(lab.remote)["keys"] == 1


def test_copies_of_every_epoch_can_be_restored() -> None:
    lab = Lab(15)
    copies = []
    for _ in range(4):
        lab.fill(300_000)
        lab.run()
        copies.append((lab.now, dict(lab.files.files)))
        lab.rotate()
    lab.run()
    assert [lab.restored(at=now).files for now, _ in copies] == [files for _, files in copies]
    assert lab.verify().damages == ()


def test_another_phrase_opens_nothing() -> None:
    lab = Lab(16)
    lab.run()
    with pytest.raises(WrongPhrase, match="does not open"):
        lab.restored(phrase=new_phrase(lab.random.randbytes))


@pytest.mark.parametrize(("phrase", "said"), [("abandon " * 12, "not a recovery phrase"), ("nonsense", "not a word")])
def test_a_phrase_that_cannot_be_right_is_refused_before_anything_is_asked(phrase: str, said: str) -> None:
    with pytest.raises(WrongPhrase, match=said):
        phrase_key(phrase)


def test_a_phrase_may_be_typed_with_capitals_and_any_spaces() -> None:
    phrase = new_phrase(lambda size: bytes(size))
    assert phrase_key(phrase) == phrase_key("  " + phrase.upper().replace(" ", "\n ") + "\n")


def test_keys_may_change_after_a_run_whose_last_answer_was_lost() -> None:
    lab = Lab(21)
    lab.fill(1000)
    lab.remote.operations_left, lab.remote.loses_answers = _operations(lab), True
    with pytest.raises(RemoteFailed):
        lab.run()
    assert len(lab.restored(remote=MemoryRemote(lab.remote.objects)).files) == 1  # the copy had arrived
    lab.remote.operations_left = None
    lab.rotate()
    lab.run()
    assert same(lab.restored(), lab.files)
    assert lab.verify().damages == ()


def test_keys_may_change_after_a_first_run_that_was_interrupted() -> None:
    lab = Lab(27)
    lab.fill(100_000)
    lab.remote.operations_left = _operations(lab) - 2  # neither an index nor a head
    with pytest.raises(RemoteFailed):
        lab.run()
    assert kinds(lab.remote) == {"keys": 1, "packs": 1}
    lab.remote.operations_left = None
    lab.rotate()
    assert lab.run().new_bytes < 50_000  # only the listing: the file had arrived
    assert lab.verify().damages == ()


def test_no_number_is_used_twice() -> None:
    """Not even if a copy whose answer was lost has disappeared: it may come back."""
    lab = Lab(22)
    lab.fill(1000)
    lab.run()
    lab.remote.operations_left, lab.remote.loses_answers = _operations(lab), True
    before = dict(lab.remote.objects)
    with pytest.raises(RemoteFailed):
        lab.run()
    lab.remote.operations_left, lab.remote.objects = None, before
    assert lab.run().link.number == 3


def test_the_time_of_copies_never_goes_back() -> None:
    lab = Lab(23)
    lab.run()
    lab.now -= 1000 * MINUTE
    lab.run()
    newest = lab.restore(at=START + 2 * MINUTE)[1].head
    assert (newest.number, newest.time) == (2, START + MINUTE)


def test_a_lost_pack_is_stored_again_whatever_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PACK_RAW_BYTES", 100_000)
    monkeypatch.setattr(writing, "INLINE_IDS", 2)
    lab = Lab(24)
    lab.fill(4_000_000)
    lab.run()
    for name in [name for name in lab.remote.objects if name.startswith("packs/")]:
        again = _copy(lab)
        del again.remote.objects[name]
        again.run()
        assert same(again.restored(), again.files)


# --- one copy of the node, and no older state ----------------------------------------------------------------------


def test_a_remote_that_shows_an_older_state_is_refused() -> None:
    lab = Lab(17)
    lab.fill(1000)
    lab.run()
    old = dict(lab.remote.objects)
    lab.fill(2000)
    lab.run()
    newest = lab.number
    assert same(lab.restored(least=newest), lab.files)
    lab.remote.objects = old
    with pytest.raises(OlderState, match="older state"):
        lab.restored(least=newest)
    with pytest.raises(OlderState):
        lab.run()
    with pytest.raises(OlderState):
        lab.verify()


def test_two_copies_of_one_node_are_noticed() -> None:
    lab = Lab(18)
    lab.fill(1000)
    lab.run()
    twin = _copy(lab)
    twin.place, twin.writer = Place(lab.remote, lab.place.known), lab.random.randbytes(16)
    twin.run()
    with pytest.raises(CopyElsewhere, match="only one may go on"):
        lab.run()
    lab.run(takes_over=True)
    with pytest.raises(CopyElsewhere):
        twin.run()


def test_two_copies_that_run_at_the_same_time_do_not_both_succeed() -> None:
    lab = Lab(19)
    lab.run()
    twin = _copy(lab)
    twin.place, twin.writer = Place(MemoryRemote(lab.remote.objects), lab.place.known), lab.random.randbytes(16)

    class Overtaken(MemoryRemote):
        """A remote to which the twin writes just before each head."""

        def put(self, name: str, data: bytes) -> None:
            if name.startswith("heads/") and name not in self.objects:
                twin.run()
            super().put(name, data)

    with pytest.raises(CopyElsewhere):
        lab.run(via=Overtaken(lab.remote.objects))


def test_a_newest_copy_that_was_exchanged_for_another_is_noticed() -> None:
    lab = Lab(25)
    lab.run()
    twin = _copy(lab)
    twin.fill(10)
    lab.run()
    twin.run()
    lab.place.remote = twin.remote  # the same numbers, the same keys
    with pytest.raises(DamagedBackup, match="not the one that was put there"):
        lab.run()


def test_a_run_whose_last_answer_was_lost_is_not_taken_for_another_copy() -> None:
    lab = Lab(20)
    lab.run()
    lab.fill(1000)
    copy = _copy(lab)
    copy.run()
    lab.place.remote = copy.remote  # its head is there, and this node does not know
    lab.run()
    assert same(lab.restored(), lab.files)
