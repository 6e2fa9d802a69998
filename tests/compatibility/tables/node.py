"""The other system processes: kernel, net, timer, state, terminal, homepage, and those that this node does not have."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any as Json

from msgspec import msgpack

from tests.compatibility.browser import Browser
from tests.compatibility.case import NOTHING, Any, Ask, Each, OneOf, Play, Table, by
from tests.compatibility.guest import GUESTS, Guest
from tests.web_site import zipped_site

CHILD = "child:$PKG"


def _code(guest: Guest) -> bytes:
    return (GUESTS / f"tester.{guest.interface}.wasm").read_bytes()


def _initialized(guest: Guest) -> str | None:
    asked: Json = {
        "id": f"child:{guest.package}",
        "wasm_bytes_handle": "",
        "wit_version": None,
        "on_exit": "None",
        "initial_capabilities": [],
        "public": False,
    }
    got = guest.ask("kernel:distro:sys", json.dumps({"InitializeProcess": asked}).encode(), _code(guest))
    return None if got.body == b'"InitializedProcess"' else got.shown()


def _capability(guest: Guest) -> dict[str, str]:
    return {"issuer": f"{guest.node}@main:{guest.package}", "params": '"compatible"'}


def _change(name: str) -> Json:
    def run(guest: Guest) -> str | None:
        asked = {name: {"target": f"main:{guest.package}", "capabilities": [_capability(guest)]}}
        guest.send("kernel:distro:sys", json.dumps(asked).encode())
        guest.lab.rest(0.1)
        held = (f"main:{guest.package}", "compatible") in guest.capabilities()
        return None if held == (name == "GrantCapabilities") else "has no effect"

    return run


def _on_exit(guest: Guest) -> str | None:
    found = []
    for wanted in ("None", "Restart"):
        asked = {"SetOnExit": {"target": f"main:{guest.package}", "on_exit": wanted}}
        guest.send("kernel:distro:sys", json.dumps(asked).encode())
        guest.lab.rest(0.1)
        got = guest.ask("kernel:distro:sys", json.dumps({"Debug": {"Process": f"main:{guest.package}"}}).encode())
        found.append(json.loads(got.body)["Debug"]["Process"]["on_exit"])
    return None if found == ["None", "Restart"] else f"it is {found}"


def _printed(guest: Guest) -> str | None:
    before = len(guest.core.log)
    guest.send("kernel:distro:sys", b'{"Debug": "ProcessMap"}')
    guest.lab.rest(0.1)
    return None if any("ProcessMap" in line for line in guest.core.log[before:]) else "nothing is printed"


def _shut_down(guest: Guest) -> str | None:
    guest.send("kernel:distro:sys", b'"Shutdown"')
    guest.lab.rest(5)
    return "the node runs on" if guest.lab.running(guest.node) else None


MAP = {
    "wasm_bytes_handle": Any(str),
    "wit_version": None,
    "on_exit": "Restart",
    "public": True,
    "capabilities": Any(list),
}
HAS = {"issuer": "$NODE@$ID", "params": '"none"'}

KERNEL = Table(
    "kernel:distro:sys",
    "kernel:distro:sys",
    (
        Play("`InitializeProcess`, its code as blob", _initialized),
        Ask(
            "Error: `InitializeProcessError`",
            {
                "InitializeProcess": {
                    "id": CHILD,
                    "wasm_bytes_handle": "",
                    "wit_version": None,
                    "on_exit": "None",
                    "initial_capabilities": [],
                    "public": False,
                }
            },
            "InitializeProcessError",
            blob=b"no code",
        ),
        Ask("`RunProcess`", {"RunProcess": CHILD}, "StartedProcess"),
        Ask("Error: `RunProcessError`", {"RunProcess": "nobody:$PKG"}, "RunProcessError"),
        Ask("`KillProcess`", {"KillProcess": CHILD}, {"KilledProcess": Any(str)}),
        Play("`GrantCapabilities`", _change("GrantCapabilities")),
        Play("`DropCapabilities`", _change("DropCapabilities"), "BC"),
        Ask('`{"Debug": "ProcessMap"}`', {"Debug": "ProcessMap"}, {"Debug": {"ProcessMap": Any(dict)}}),
        Play('`{"Debug": "ProcessMap"}` without expecting an answer is printed', _printed),
        Ask('`{"Debug": {"Process": id}}`', {"Debug": {"Process": "$ID"}}, {"Debug": {"Process": MAP}}),
        Ask(
            '`{"Debug": {"HasCap": …}}`', {"Debug": {"HasCap": {"on": "$ID", "cap": HAS}}}, {"Debug": {"HasCap": False}}
        ),
        Play("`SetOnExit`", _on_exit, "C"),
        Play("`Shutdown`", _shut_down, last=True),
    ),
    "A node of A and B prints what `Debug` asks for and answers nothing. This one answers, as a node of C does.",
)


def _variant(name: str) -> Json:
    """A test whether an answer is that variant, in MessagePack."""
    return lambda body: name in msgpack.decode(body)


UPDATE = ["node.os", "0x00", "0x00", "0x00", "127.0.0.1", 9000, []]


def _hello(guest: Guest) -> str | None:
    got = guest.ask("net:distro:sys", b"hello", node=guest.next_node)
    return None if got.body in (b"ack", b"delivered") else got.shown()


def _indexes(guest: Guest) -> str | None:
    """A batch of names is taken, or refused, before anybody waits for it."""
    before = guest.lab.now
    got = guest.ask("net:distro:sys", msgpack.encode({"KnsBatchUpdate": [UPDATE]}))
    return None if guest.lab.now - before < 1 and got.kind == "r" else f"{got.shown()} after a while"


def _question(name: str, argument: Json = None, answer: str = "", why: str = "") -> Ask:
    asked = name if argument is None else {name: argument}
    return Ask(f"`{name}`, in MessagePack", msgpack.encode(asked), _variant(answer), blob=b"signed", why=why)


def _in_json(name: str, argument: Json, answer: Json) -> Ask:
    return Ask(f"`{name}`, in JSON", name if argument is None else {name: argument}, answer)


SIGNING = "a node's key signs for the node alone, not for its processes"
NET = Table(
    "net:distro:sys",
    "net:distro:sys",
    (
        Play("A text from another node is answered `ack`", _hello),
        Play("`KnsBatchUpdate` of a name indexer does not make it wait", _indexes),
        _question("GetPeers", None, "Peers"),
        _question("GetPeer", "$NEXT", "Peer"),
        _question("GetName", "0x00", "Name"),
        _question("GetDiagnostics", None, "Diagnostics"),
        _question("Sign", None, "Signed", SIGNING),
        _question("Verify", {"from": "nobody.nec@a:b:c", "signature": [1]}, "Verified", SIGNING),
        _in_json("GetPeers", None, {"Peers": Any(list)}),
        _in_json("GetPeer", "nobody.nec", {"Peer": None}),
        _in_json("GetName", "nobody.nec", {"Name": None}),
        _in_json("GetDiagnostics", None, {"Diagnostics": Any(str)}),
    ),
    "The existing nodes speak MessagePack here. Names come from this node's registrar and not from a chain, so what an "
    "indexer of a chain has to say is not used.",
)


def _empty(body: bytes) -> bool:
    return body == b""


TIMER = Table(
    "timer:distro:sys",
    "timer:distro:sys",
    (
        Ask("`SetTimer`", {"SetTimer": 200}, _empty),
        Ask("Eight bytes, little-endian milliseconds", Each(None, None, A=(200).to_bytes(8, "little")), _empty),
    ),
)

STATE = Table(
    "state:distro:sys",
    "state:distro:sys",
    (
        Ask("`SetState`", {"SetState": "$ID"}, "SetState", blob=b"kept"),
        Ask("`GetState`", {"GetState": "$ID"}, "GetState", gets=b"kept"),
        Ask("`DeleteState`", {"DeleteState": "$ID"}, "DeleteState"),
        Ask("Error: `NotFound`", {"GetState": "$ID"}, {"Err": {"NotFound": {"process_id": Any(str)}}}),
        Ask(
            "Error: a full disk (`IOError`)",
            {"SetState": "$ID"},
            {"Err": {"IOError": {"error": Any(str)}}},
            blob=bytes(1 << 20),
            full_disk=True,
        ),
        Ask("Error: no such request (`BadRequest`)", "Nonsense", {"Err": {"BadRequest": {"error": Any(str)}}}),
        Ask("`Backup`", "Backup", "Backup", why="the node makes backups by itself, and no process of it"),
    ),
    "Only the existing nodes' own code uses it; processes call `get-state` and `set-state`.",
)


def _stands(guest: Guest) -> bool:
    """Whether the user has the alias."""
    return guest.script("alias short").startswith("short: hi:terminal:sys")


def _set(guest: Guest) -> str | None:
    return None if _stands(guest) else "there is no such alias"


def _removed(guest: Guest) -> str | None:
    if not _stands(guest):
        return "there is no such alias"
    got = guest.ask("terminal:terminal:sys", json.dumps(by(guest.generation, _aliased(None))).encode())
    return got.shown() if _stands(guest) else None


def _alias_answered(guest: Guest) -> str | None:
    before = guest.lab.now
    got = guest.ask("terminal:terminal:sys", json.dumps(by(guest.generation, _aliased("hi:terminal:sys"))).encode())
    return None if got.kind == "r" and guest.lab.now - before < 1 else f"{got.shown()} after a while"


def _aliased(script: str | None) -> Json:
    asked = {"alias": "short", "process": script}
    return Each(asked, {"EditAlias": asked})


ALIASES = "aliases are the user's: only scripts of terminal:sys change them"
TERMINAL = Table(
    "terminal:terminal:sys",
    "terminal:terminal:sys",
    (
        Play("`alias`, `EditAlias`: whoever waits is answered at once", _alias_answered),
        Ask("An alias is set", _aliased("hi:terminal:sys"), Each(NOTHING, {"EditAlias": "AliasSet"}), why=ALIASES),
        Play("The user has it", _set, why=ALIASES),
        Play("An alias is removed", _removed, why=ALIASES),
    ),
)

ICON = "data:image/png;base64,iVBORw0KGgo="
ADD = {"Add": {"label": "Tester", "icon": ICON, "path": "/", "widget": "<p>hello</p>"}}
APP = {
    "id": "$ID",
    "process": "main",
    "package_name": "tester",
    "publisher": "$NODE",
    "path": "/$ID/",
    "label": "Tester",
    "base64_icon": ICON,
    "widget": "<p>hello</p>",
    "order": Any(int),
    "favorite": Any(bool),
}
_ETH = OneOf(("NoRpcForChain", "MalformedRequest", "PermissionDenied", "RpcTimeout"))


def _shown(there: bool) -> Json:
    def run(guest: Guest) -> str | None:
        browser = Browser(guest.lab, guest.node)
        browser.sign_in()
        shown = b"Tester" in browser.open("/homepage:homepage:sys/").body
        return None if shown is there else ("shown" if shown else "not shown")

    return run


def _removed_by_user(guest: Guest) -> str | None:
    guest.core.ask("our@homepage:homepage:sys", json.dumps({"RemoveOther": guest.id}).encode(), 5)
    gone = _shown(False)(guest)
    guest.send("homepage:homepage:sys", json.dumps(ADD).encode())
    guest.lab.rest(0.1)
    return str(gone) if gone is not None else _shown(True)(guest) and "it does not come back"


def _style(guest: Guest) -> str | None:
    got = guest.ask("homepage:homepage:sys", b'{"SetStylesheet": "body{color:teal}"}')
    browser = Browser(guest.lab, guest.node)
    browser.sign_in()
    return None if b"color:teal" in browser.open("/homepage:homepage:sys/").body else got.shown()


HOMEPAGE = Table(
    "homepage:homepage:sys",
    "homepage:homepage:sys",
    (
        Ask("`Add`", ADD, NOTHING),
        Play("The page shows who has been added", _shown(True)),
        Ask("`GetApps`", "GetApps", {"GetApps": [APP]}),
        Ask("`GetPushSubscription`", Each(None, "GetPushSubscription"), {"PushSubscription": None}),
        Play("`SetStylesheet`", _style, "BC", "no package decides how the page of all looks"),
        Ask("`RemoveOther` without its capability", {"RemoveOther": "$ID"}, NOTHING),
        Play("The page still shows who was to be removed so", _shown(True)),
        Play("`RemoveOther` by the node's user", _removed_by_user),
        Ask("`Remove`", "Remove", NOTHING),
        Play("The page does not show who has been removed", _shown(False)),
    ),
)

ABSENT = Table(
    "eth:distro:sys, and other names that this node does not have",
    "eth:distro:sys",
    (
        Ask(
            "`SubscribeLogs`: an error at once",
            {"SubscribeLogs": {"sub_id": 1, "chain_id": 1, "kind": "logs", "params": {}}},
            {"Err": _ETH},
            at_once=True,
        ),
        Ask(
            "`Request`: an error at once",
            {"Request": {"chain_id": 1, "method": "eth_blockNumber", "params": []}},
            {"Err": _ETH},
            at_once=True,
        ),
        Ask("`UnsubscribeLogs`: an error at once", {"UnsubscribeLogs": 1}, {"Err": _ETH}, at_once=True),
        Ask(
            "fd-manager: an error at once",
            {"RequestFdsLimit": 1},
            {"Err": Any(object)},
            "fd-manager:distro:sys",
            at_once=True,
        ),
        Ask(
            "notifications: an error at once",
            {"GetPublicKey": None},
            {"Err": Any(object)},
            "notifications:distro:sys",
            at_once=True,
        ),
    ),
)


def _token(guest: Guest) -> str:
    return guest.core.core.sessions.make_token(guest.lab.now)


def _no_token(guest: Guest) -> str | None:
    asked = json.dumps({"process": f"main:{guest.package}", "body": "C"}).encode()
    answer = guest.lab.post(guest.node, "/rpc:distro:sys/message", asked, {"content-type": "application/json"})
    return None if answer is not None and answer.status == 401 else str(answer)


def _injected(guest: Guest) -> str | None:
    asked: Json = {
        "node": None,
        "process": f"main:{guest.package}",
        "inherit": False,
        "expects_response": 5,
        "body": "C",  # it comes in the user's name: a command
        "metadata": None,
        "context": None,
        "mime": None,
        "data": None,
    }
    told = {"content-type": "application/json", "authorization": f"Bearer {_token(guest)}"}
    answer = guest.lab.post(guest.node, "/rpc:distro:sys/message", json.dumps(asked).encode(), told)
    if answer is None or answer.status != 200:
        return f"status {None if answer is None else answer.status}"
    body = bytes(answer.body)
    return None if b'"messaging"' in bytes(json.loads(body)["body"]) else body.decode(errors="replace")


def _kit_sends(guest: Guest, body: Json, data: bytes | None = None) -> Json:
    """What the store answers to a kit, in the shape in which that sends it."""
    store = by(guest.generation, Each("main:app_store:sys", "main:app-store:sys"))
    encoded = None if data is None else base64.b64encode(data).decode()
    asked = {"node": None, "process": store, "inherit": False, "expects_response": 15, "body": json.dumps(body)}
    told = {"content-type": "application/json", "authorization": f"Bearer {_token(guest)}"}
    sent = json.dumps({**asked, "metadata": None, "context": None, "mime": None, "data": encoded}).encode()
    answer = guest.lab.post(guest.node, "/rpc:distro:sys/message", sent, told)
    if answer is None or answer.status != 200:
        return None if answer is None else answer.status
    return json.loads(bytes(json.loads(bytes(answer.body))["body"]))


def _started(guest: Guest) -> str | None:
    package = {"package_name": "sent", "publisher_node": guest.node}
    data = zipped_site(guest.node, code=_code(guest))
    got = [_kit_sends(guest, {"NewPackage": {"package_id": package, "mirror": True}}, data)]
    install = {"package_id": package, "version_hash": hashlib.sha256(data).hexdigest(), "metadata": None}
    got.append(_kit_sends(guest, {"Install": install}))
    runs = guest.core.core.runs(f"web:sent:{guest.node}")
    expected = [{"NewPackageResponse": "Success"}, {"InstallResponse": "Success"}]
    return None if runs and got == expected else f"{got}, it {'runs' if runs else 'does not run'}"


def _asks_first(guest: Guest) -> str | None:
    package = {"package_name": "sent", "publisher_node": "power.os"}
    data = zipped_site("power.os", "kernel:distro:sys", code=_code(guest))
    _kit_sends(guest, {"NewPackage": {"package_id": package, "mirror": True}}, data)
    got = _kit_sends(guest, {"Install": {"package_id": package, "version_hash": hashlib.sha256(data).hexdigest()}})
    fits = got["InstallResponse"] == "Failure" and "--grant kernel" in got["error"]
    return None if fits and not guest.core.core.runs("web:sent:power.os") else str(got)


RPC = Table(
    "/rpc:distro:sys/message",
    "",
    (
        Play("A request of the developer kit reaches a process, and its answer comes back", _injected),
        Play("`start-package`: `NewPackage` with a zip, then `Install`, starts the package", _started),
        Play("`start-package` of what asks for power: a failure that says what its user types", _asks_first),
        Play("Without a token: 401", _no_token),
    ),
    "It takes a token (`nectar sessions token`), or a node that was booted with `--rpc-open`.",
)
