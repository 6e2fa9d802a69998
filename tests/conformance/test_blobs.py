"""G11 and G12: blobs are lazy, inherited, and never copied between the processes of a node."""

from __future__ import annotations

import json

import pytest

from kernel.contract import limits
from kernel.contract.message import LazyLoadBlob
from nectar_node.storage.operations import Location
from tests.conformance import everywhere, spanning, two_nodes
from tests.conformance.lab import Lab, SimLab
from tests.conformance.steps import GET_BLOB, blob, receive, respond, send, wait_for

MEBIBYTE = 1 << 20


def loaded(lab: SimLab) -> int:
    """Bytes of blobs that entered the memory of a guest."""
    return sum(node.core.machine.blob_bytes_loaded() for node in lab.nodes)


@everywhere
def test_g11_an_inheriting_request_and_response_carry_the_blob_of_the_message_being_handled(lab: Lab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    back = wait_for(c, "", respond(inherit=True), expects=20, inherit=True)
    a.ask(
        wait_for(b, "", back, respond(inherit=True), expects=20, blob=blob("payload", mime="x/y")), GET_BLOB, respond()
    )
    assert [(seen.blob, seen.mime) for seen in a.seen("blob")] == [("payload", "x/y")]


@spanning
def test_g11_an_inherited_blob_never_enters_the_memory_of_who_hands_it_on(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c", far=True)
    data = LazyLoadBlob("x/y", bytes(MEBIBYTE))
    onward = send(b, "", send(c, "", inherit=True), inherit=True)
    a.tell(onward, blob=data)
    assert loaded(lab) == 0
    c.tell(send(b, "", GET_BLOB), blob=data)
    assert loaded(lab) == 0  # the last message of c's had none to hand on
    a.tell(send(c, "", GET_BLOB, inherit=True), blob=data)
    assert [seen.blob_size for seen in c.seen("blob")] == [MEBIBYTE]
    assert loaded(lab) == MEBIBYTE


@spanning
def test_g11_a_response_of_the_disk_is_handed_on_by_who_asked_for_it(lab: SimLab) -> None:
    recv, send_, disk = lab.probe("a"), lab.probe("b", far=True), lab.probe("c", far=True)
    read = send(disk, "", respond("chunk", blob=blob(size=MEBIBYTE)), expects=20, then=(respond(inherit=True),))
    recv.tell(wait_for(send_, "chunk 7?", read, expects=50), GET_BLOB)
    assert [seen.blob_size for seen in recv.seen("blob")] == [MEBIBYTE]
    assert loaded(lab) == MEBIBYTE  # by the receiver alone


@spanning
@pytest.mark.parametrize("inherit", [True, False])
def test_g11_an_explicit_blob_wins(lab: SimLab, inherit: bool) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    reply = respond(inherit=inherit, blob=blob("b's"))
    onward = send(c, "", GET_BLOB, inherit=inherit, blob=blob("also b's"))
    a.tell(wait_for(b, "", onward, reply, expects=50, blob=blob("a's")), GET_BLOB)
    assert [seen.blob for seen in (*a.seen("blob"), *c.seen("blob"))] == ["b's", "also b's"]


@spanning
def test_g11_without_inherit_no_blob_goes_along(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(wait_for(b, "", send(c, "", GET_BLOB), respond(), expects=50, blob=blob("a's")), GET_BLOB)
    assert [seen.blob for seen in (*a.seen("blob"), *c.seen("blob"))] == [None, None]


@spanning
def test_g11_inheriting_from_a_message_without_a_blob_attaches_none(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "older", blob=blob("old")), send(b, "", send(c, "", GET_BLOB, inherit=True)))
    assert [seen.blob for seen in c.seen("blob")] == [None]


def test_g11_get_blob_gives_the_blob_of_the_current_message_as_often_as_asked(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    carried = blob("payload")
    a.tell(send(b, "", GET_BLOB, GET_BLOB, receive(), GET_BLOB, receive(), GET_BLOB, blob=carried))
    a.tell(send(b, "bare"), send(b, "another", blob=blob("other")))
    assert [seen.blob for seen in b.seen("blob")] == ["payload", "payload", None, "other"]


def test_g11_the_blob_of_an_error_is_the_current_one_again(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    again = send(b, "", GET_BLOB, inherit=True)
    a.tell(send("our@nobody:probes:sys", expects=20, blob=blob("mine"), then=(again,)))
    assert [seen.blob for seen in b.seen("blob")] == ["mine"]


def test_g12_a_blob_is_the_same_object_in_every_process_that_hands_it_on(lab: SimLab) -> None:
    a, b, c, d = (lab.probe(name) for name in "abcd")
    data = bytes(MEBIBYTE)
    a.tell(
        send(b, "", send(c, "", send(d, "end", inherit=True), inherit=True), inherit=True),
        blob=LazyLoadBlob(None, data),
    )
    for probe in (a, b, c, d):
        assert probe.process.blob is not None
        assert probe.process.blob.bytes is data
    assert loaded(lab) == 0


@two_nodes
def test_g12_what_came_from_the_socket_is_one_object_in_every_process(lab: SimLab) -> None:
    a = lab.probe("a")
    b, c, d = (lab.probe(name, far=True) for name in "bcd")
    data = lab.simulation.chance("blob").randbytes(MEBIBYTE)
    a.tell(
        send(b, "", send(c, "", send(d, "end", inherit=True), inherit=True), inherit=True),
        blob=LazyLoadBlob(None, data),
    )
    blobs = [probe.process.blob for probe in (b, c, d)]
    assert all(each is not None and each.bytes is blobs[0].bytes for each in blobs if blobs[0] is not None)
    assert blobs[0] is not None
    assert bytes(blobs[0].bytes) == data
    assert loaded(lab) == 0


def test_g12_what_came_from_the_disk_is_one_object_in_every_process(lab: SimLab) -> None:
    a, b, c = lab.probe("a", capabilities=("vfs:distro:sys",)), lab.probe("b"), lab.probe("c")
    lab.our.disk.put(Location(f"{lab.our.name}/vfs", ("probes:sys", "drive", "file")), bytes(MEBIBYTE))
    read = json.dumps({"path": "/probes:sys/drive/file", "action": "Read"})
    onward = send(b, "", send(c, "end", inherit=True), inherit=True)
    a.tell(send("our@vfs:distro:sys", read, expects=20, then=(onward,)))
    assert a.process.blob is not None
    assert len(a.process.blob.bytes) == MEBIBYTE
    for probe in (b, c):
        assert probe.process.blob is not None
        assert probe.process.blob.bytes is a.process.blob.bytes
    assert loaded(lab) == 0


@pytest.mark.parametrize("lab", ["two nodes", pytest.param("sockets", marks=pytest.mark.long)], indirect=True)
def test_g23_a_body_and_a_blob_at_the_limit_go_there_and_back(lab: Lab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    body, most = limits.MAX_BODY_BYTES, blob(size=limits.MAX_BLOB_BYTES)
    a.ask(
        wait_for(b, "", GET_BLOB, respond(size=body, blob=most), expects=50, blob=most),
        GET_BLOB,
        send(b, size=body),
        wait_for(b, "", respond("done"), expects=50),
        respond(),
    )
    assert [seen.blob_size for probe in (b, a) for seen in probe.seen("blob")] == [limits.MAX_BLOB_BYTES] * 2
    assert [seen.size for seen in a.seen("response")] == [body, 4]
    assert body in [seen.size for seen in b.seen("request")]
