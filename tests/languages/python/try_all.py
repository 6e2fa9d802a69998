"""A process that tries each part of the SDK when it is told to, and answers with what it has found."""

import contextlib
import logging
import math
import os
import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nectar
from nectar import http, http_client, kernel, kv, node, sqlite, vfs

MIB = 1 << 20
log = logging.getLogger("tries")
Try = Callable[[nectar.Request], Awaitable[object]]
tries: dict[str, Try] = {}
SEEN: list[str] = []


def attempt(function: Try) -> Try:
    tries[function.__name__] = function
    return function


@dataclass
class Kept(nectar.State):
    number: float = 0.5
    big: int = 2**80
    text: str = "ü"


@http.route("/games/:id")
async def game(request: http.HttpRequest) -> object:
    if request.method == "POST":
        return http.HttpResponse(201, request.body[::-1], {"X-Id": request.url_params["id"]})
    await node.sleep(0.01)
    return {"id": request.url_params["id"], "query": request.query_params}


@http.route("/sent", body_to="/tries:local/web/sent", body_limit=5)
async def sent(request: http.HttpRequest) -> object:
    file = request.body_file
    return "nothing" if file is None else f"{file.length} {(await vfs.read(file.path)).decode()} {file.hash[:8]}"


sockets = http.WebSockets("/rooms/:id")


@sockets.on_open
def opened(channel: http.Channel) -> None:
    SEEN.append(f"open {channel.path}")


@sockets.on_message
def said(channel: http.Channel, message: str | bytes) -> None:
    if message == "end":
        channel.close()
    else:
        channel.send(message[::-1])


@sockets.on_close
def closed(channel: http.Channel) -> None:
    SEEN.append(f"close {channel.path}")


@nectar.on_request
async def answer(request: nectar.Request) -> object:
    match request.json():
        case "Seen":
            return SEEN
        case {"Slow": float() | int() as seconds}:
            await node.sleep(seconds)
            return {"Slept": seconds}
        case {"Fail": "bug"}:
            raise ZeroDivisionError("a bug of the author")
        case {"Fail": "offline"}:
            await node.ask("nobody.nec@a:b:c", {}, timeout=10)
        case {"Fail": "refused"}:
            raise nectar.Refused("as it was to be")
        case {"Forward": str(target)}:
            return node.forward(target, {"Blob": True})
        case {"Blob": True}:
            blob = request.blob()
            return nectar.Reply({"Length": len(blob.bytes) if blob else None}, blob=blob)
        case {"Try": str(name)}:
            return await tries[name](request)
    raise nectar.Refused("that is nothing to try")


@attempt
async def many_at_once(request: nectar.Request) -> object:
    began = time.monotonic()
    answers = await nectar.gather(*(node.ask(node.our(), {"Slow": 0.3}) for _ in range(10)))
    assert time.monotonic() - began < 2.5
    return [each.ok() for each in answers]


@attempt
async def blobs(request: nectar.Request) -> object:
    data = os.urandom(3 * MIB)
    response = await node.ask(node.our(), {"Blob": True}, blob=nectar.Blob(data, "text/x"))
    blob = response.blob()
    assert blob is not None
    assert (blob.bytes, blob.mime) == (data, "text/x")
    await node.sleep(0.01)
    assert response.blob() is blob
    late = await node.ask(node.our(), {"Blob": True}, blob=b"x")
    await node.sleep(0.01)
    try:
        late.blob()
    except RuntimeError as error:
        return str(error)
    return "a blob of an earlier message"


@attempt
async def state(request: nectar.Request) -> object:
    kept = Kept.load()
    with kept:
        kept.number += 0.25
    assert Kept.load() == kept
    return {"number": kept.number, "big": kept.big, "text": kept.text}


def doze() -> None:
    time.sleep(0.05)  # the whole process sleeps


@attempt
async def clock_and_random(request: nectar.Request) -> object:
    before = time.monotonic()
    doze()
    assert 0.04 < time.monotonic() - before < 5
    assert os.urandom(16) != os.urandom(16)
    drawn = {"urandom": os.urandom(8).hex(), "uuid": str(uuid.uuid4()), "secret": secrets.token_hex(8)}
    return {"time": time.time(), "random": random.random(), **drawn}


@attempt
async def files(request: nectar.Request) -> object:
    drive = vfs.drive("notes")
    await vfs.create_drive(drive)
    path = f"{drive}/a.txt"
    await vfs.write(path, b"hello")
    await vfs.append(path, b", world")
    await vfs.write_at(path, 0, b"H")
    await vfs.create_dir(f"{drive}/inner")
    await vfs.copy(path, f"{drive}/inner/b.txt")
    await vfs.rename(f"{drive}/inner/b.txt", f"{drive}/inner/c.txt")
    await vfs.sync(path)
    assert await vfs.read(path) == b"Hello, world"
    assert await vfs.read_at(path, 7, 100) == b"world"
    assert (await vfs.metadata(path)).len == 12
    assert await vfs.free_space(drive) > 0
    names = {each.name: each.file_type for each in await vfs.read_dir(drive)}
    assert names == {"a.txt": "File", "inner": "Directory"}
    assert [each.name for each in await vfs.read_dir(drive, after="a.txt", limit=1)] == ["inner"]
    assert await vfs.read_dir(drive, after="inner", limit=1) == []
    assert vfs.read(f"{drive}/inner/c.txt").wait() == b"Hello, world"
    assert (await vfs.hash_of(path))[:4] == b"\xfe\x44\xe8\x5b"
    await vfs.set_length(path, 5)
    assert await vfs.read(path) == b"Hello"
    await vfs.remove(path)
    await vfs.remove_dir(f"{drive}/inner")
    try:
        await vfs.read(path)
    except vfs.NotFound:
        return "not found"
    return "a file that was removed"


def changed(change: vfs.Change) -> None:
    SEEN.extend(change.changes)


@attempt
async def watch(request: nectar.Request) -> object:
    await vfs.create_drive(vfs.drive("notes"))
    await vfs.watch(vfs.drive("notes"), changed)
    return None


@attempt
async def unwatch(request: nectar.Request) -> object:
    await vfs.unwatch(vfs.drive("notes"))
    try:
        await vfs.unwatch(vfs.drive("notes"))
    except vfs.NotFound:
        return "not found"
    return "something that is watched"


@attempt
async def keys_and_values(request: nectar.Request) -> object:
    notes = kv.KeyValue("notes")
    await notes.open()
    await notes.set(b"\x00a", b"x" * 1000)
    assert await notes.get(b"\x00a") == b"x" * 1000
    assert await notes.get(b"b") is None
    number = await notes.begin()
    await notes.set(b"b", b"", transaction=number)
    await notes.delete(b"\x00a", transaction=number)
    assert await notes.get(b"b") is None
    await notes.commit(number)
    assert (await notes.get(b"b"), await notes.get(b"\x00a")) == (b"", None)
    await notes.remove()
    try:
        await notes.get(b"b")
    except nectar.Refused as refused:
        return refused.reason
    return "a database that was removed"


@attempt
async def sql(request: nectar.Request) -> object:
    shop = sqlite.Sqlite("shop")
    await shop.open()
    await shop.write("CREATE TABLE prices (name TEXT, price REAL, data BLOB)")
    await shop.write("INSERT INTO prices VALUES (?, ?, ?)", "green tea", 2.5, b"\x00\xff")
    await shop.write("INSERT INTO prices VALUES (?, ?, ?)", "water", 0, None)
    rows = await shop.read("SELECT * FROM prices WHERE price < ? ORDER BY price", 3)
    with contextlib.suppress(nectar.Refused):
        await shop.write("INSERT INTO nothing VALUES (1)")
        return "a table that is not there"
    return rows


@attempt
async def internet(request: nectar.Request) -> object:
    try:
        await http_client.fetch("http://127.0.0.1:8081/", timeout=10)
    except nectar.Refused as refused:
        return refused.reason
    return "an answer of nobody"


@attempt
async def children(request: nectar.Request) -> object:
    ours = [each for each in kernel.our_capabilities() if each.issuer.process.package == "distro"]
    child = kernel.spawn("/try_all.wasm", name="child", request_capabilities=ours, public=True)
    try:
        kernel.spawn("/try_all.wasm", name="child")
    except nectar.NameTaken as error:
        taken = str(error)
    with contextlib.suppress(nectar.NoFileAtPath):
        kernel.spawn("/nothing.wasm")
    answered = (await node.ask(nectar.Address("our", child), {"Slow": 0})).ok()
    try:
        await node.ask(nectar.Address("our", child), {"Fail": "bug"}, timeout=30)
    except nectar.Timeout as error:
        return [taken, answered, str(error)]
    return "an answer of a child that has failed"


@attempt
async def exit_and_capabilities(request: nectar.Request) -> object:
    before = kernel.get_on_exit()
    last = nectar.OnExit(requests=[nectar.OnExitRequest("our@a:b:c", {"Bye": 1}, blob=b"x")])
    kernel.set_on_exit(last)
    after = kernel.get_on_exit()
    assert after.requests[0].body == b'{"Bye":1}'
    kernel.set_on_exit(before)
    mine = nectar.Capability(node.our(), '"own"')
    kernel.save_capabilities([mine])
    held = kernel.our_capabilities()
    assert mine in held
    kernel.drop_capabilities([mine])
    assert mine not in kernel.our_capabilities()
    return {"restart": before.restart, "issuers": sorted({str(each.issuer.process) for each in held})}


@attempt
async def logs(request: nectar.Request) -> object:
    log.warning("a warning with ü")
    log.debug("never shown")
    log.setLevel(logging.DEBUG)
    log.debug("shown now")
    try:
        math.sqrt(-1)
    except ValueError:
        log.exception("caught")
    print("printed")
    return None


@attempt
async def plain_question(request: nectar.Request) -> object:
    assert node.sleep(0.01).wait() is None
    try:
        node.ask("our@nobody:a:b", timeout=5).wait()
    except nectar.SendError as error:
        return type(error).__name__
    return "an answer of nobody"
