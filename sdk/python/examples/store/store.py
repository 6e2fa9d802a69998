"""A small key-value store on two nodes: the primary takes what is put, and keeps a replica equal to itself.

    {"Lead":{"replica":"two.nec"}}      →  "Ok"      on one.nec, the primary
    {"Follow":{"primary":"one.nec"}}    →  "Ok"      on two.nec, the replica
    {"Put":{"key":"a","value":"x"}}     →  {"Put":{"version":1,"replicated":true}}      on the primary
    {"Get":{"key":"a"}}                 →  {"Value":{"value":"x","version":1}} or "Missing"      on either
    "Dump"                              →  {"Dump":{"version":1,"entries":[{"key":"a","value":"x","version":1}]}}

A Put is answered when it is durable here and the replica has made it durable (`replicated`), or when it is known that
the replica could not be reached, or did not answer in time. Then it is the primary that has to remember: it sends what
is missing with the next Put, and every few seconds until there has been an answer.

What makes this simple: the replica says in every answer which version it has. So it does not matter which Copy or which
answer was lost, or came late; whatever the two have forgotten in a crash, they find where to go on.
"""

import logging
from dataclasses import dataclass, field

import nectar
from nectar import json, node

PATIENCE = 30
"""Seconds for a Copy: long enough to learn that the replica is Offline."""
WATCH_EVERY = 5
"""Seconds between attempts while the replica is behind."""
MAX_ENTRIES = 256
MAX_KEY_BYTES = 100
MAX_VALUE_BYTES = 1000
MAX_NAME_BYTES = 253
WANTED = (
    'expected {"Lead":{"replica":NODE}}, {"Follow":{"primary":NODE}}, {"Put":{"key":TEXT,"value":TEXT}}, '
    '{"Get":{"key":TEXT}} or "Dump"'
)


@dataclass
class Entry:
    """What was put last under a key."""

    key: str
    value: str
    version: int


@dataclass
class Store(nectar.State):
    """What is saved with every change: a role, which is for good, and the entries."""

    role: str = "None"
    """None, Primary or Replica."""
    other: str = ""
    """The other node."""
    entries: list[Entry] = field(default_factory=list)
    """Ordered by version: whatever a replica lacks is a tail of this list."""

    @property
    def version(self) -> int:
        """Of the last change; 0: there was none."""
        return self.entries[-1].version if self.entries else 0

    def find(self, key: str) -> Entry | None:
        return next((each for each in self.entries if each.key == key), None)

    def put(self, entry: Entry) -> None:
        self.entries = [*(each for each in self.entries if each.key != entry.key), entry]

    def refusal(self, key: str, value: str) -> str | None:
        """Why the two cannot be put; None: they can."""
        if not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
            return "a key has 1 to 100 bytes"
        if len(value.encode()) > MAX_VALUE_BYTES:
            return "a value has at most 1,000 bytes"
        if len(self.entries) >= MAX_ENTRIES and self.find(key) is None:
            return "the store is full: it has 256 keys"
        return None


store = Store()
confirmed: int | None = None
"""What the replica said it has; None: it has not said so in this life of ours."""
sent: int | None = None
"""The version up to which everything is on its way to the replica; None: go by `confirmed`."""
watching = False
"""Whether a timer runs."""


@nectar.on_start
async def start() -> None:
    global store
    store = Store.load()
    if store.role == "Primary":
        await replicate(store.version, store.version)  # an empty Copy is answered with what the replica has


@nectar.on_request
async def handle(request: nectar.Request) -> object:
    asker, ask = request.source.node, request.json()
    match ask:
        case {"Copy": {"after": int(after), "entries": list(entries)}}:
            if (store.role, store.other) != ("Replica", asker):
                raise nectar.Refused("we do not follow you")
            return apply(after, json.decode(list[Entry], entries))
    if asker != node.our().node:
        raise nectar.Refused("only processes of this node may ask this")
    match ask:
        case {"Lead": {"replica": str(other)}}:
            return take("Primary", other)
        case {"Follow": {"primary": str(other)}}:
            return take("Replica", other)
        case {"Put": {"key": str(key), "value": str(value)}}:
            return await put(key, value)
        case {"Get": {"key": str(key)}}:
            found = store.find(key)
            return {"Value": {"value": found.value, "version": found.version}} if found else "Missing"
        case "Dump":
            return {"Dump": {"version": store.version, "entries": store.entries}}
    raise nectar.Refused(WANTED)


def take(role: str, other: str) -> str:
    """A role is for good: two stores that have each gone their own way could not be made equal without a loss."""
    if not 1 <= len(other.encode()) <= MAX_NAME_BYTES:
        raise nectar.Refused("that is not a node's name")
    if other == node.our().node:
        raise nectar.Refused("the two must be different nodes")
    if store.role == "None":
        with store:
            store.role, store.other = role, other
    elif (store.role, store.other) != (role, other):
        raise nectar.Refused(f"this is the {store.role.lower()} of {store.other} already")
    return "Ok"


# --- the primary's part


async def put(key: str, value: str) -> object:
    if store.role == "None":
        raise nectar.Refused("this node has no role yet: ask it to Lead or to Follow")
    if store.role == "Replica":
        raise nectar.Refused(f"this is the replica: put to {store.other}")
    if reason := store.refusal(key, value):
        raise nectar.Refused(reason)
    before = store.version
    with store:
        store.put(Entry(key, value, before + 1))
    known = sent if sent is not None else confirmed
    replicated = await replicate(before + 1, before if known is None else known)
    return {"Put": {"version": before + 1, "replicated": replicated}}


async def replicate(wanted: int, after: int) -> bool:
    """Send the replica all that changed after a version; whether it then has the version `wanted`."""
    global sent
    has = await copy(after)
    if has is not None and has < wanted:  # it lacks more than we thought: an earlier Copy never arrived
        has = await copy(has)
    if has is not None and has >= wanted:
        return True
    sent = None
    node.start_soon(watch())
    return False


async def copy(after: int) -> int | None:
    """Send all that changed after a version; the version that the replica then has, if it says so."""
    global confirmed, sent
    sent = store.version
    changes = [each for each in store.entries if each.version > after]
    target = nectar.Address(store.other, node.our().process)
    try:
        response = await node.ask(target, {"Copy": {"after": after, "entries": changes}}, timeout=PATIENCE)
        has = int(response.ok()["Copied"]["version"])
    except nectar.Refused as error:
        logging.info("%s takes no copy: %s", store.other, error)
        return None
    except (nectar.NectarError, LookupError, TypeError, ValueError):
        return None
    if has > store.version:
        logging.warning("%s has changes that are not ours: it is left alone", store.other)
        return None
    confirmed = has
    return has


async def watch() -> None:
    """Try again until the replica has everything."""
    global watching
    if watching:
        return
    watching = True
    await node.sleep(WATCH_EVERY)
    watching = False
    if confirmed != store.version:
        await replicate(store.version, store.version if confirmed is None else confirmed)


# --- the replica's part


def apply(after: int, entries: list[Entry]) -> object:
    """Take over what is new to us, unless something is missing before it, and say how far we are."""
    before = store.version
    if after <= before:
        for entry in entries:
            if entry.version <= store.version:
                continue  # it has come before
            if store.refusal(entry.key, entry.value) is not None:
                break  # the primary would not have taken it either
            store.put(entry)
    if store.version > before:
        store.save()
    return {"Copied": {"version": store.version}}
