"""The settings of a node: the options of its boots, each given once and kept until it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.console.sizes import parse_size
from nectar_node.launcher.arguments import (
    check_package,
    parse_cipher,
    parse_endpoint,
    parse_http,
    parse_http_name,
    parse_keep,
    parse_memory,
    parse_otlp,
    parse_package_ids,
    parse_quotas,
    parse_routers,
    parse_share,
    parse_tls,
)
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions

_YES_NO = {"yes": True, "no": False}


class Setting(NamedTuple):
    """One setting, as people write it."""

    field: str
    """The field of `BootOptions`."""
    parse: Callable[[str, BootOptions, str], Any]
    """Returns the field's value for a node's name, its present options and a text; raises BadInput."""
    show: Callable[[Any], str]
    """Returns the text for the field's value; empty for nothing."""
    about: str
    """What it is, in one line."""


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _whole(most: int) -> Callable[[str, BootOptions, str], int]:
    def parse(_: str, __: BootOptions, text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) <= most):
            raise BadInput(f"{text!r} is not a whole number from 0 to {most}.")
        return int(text)

    return parse


def _flag(_: str, __: BootOptions, text: str) -> bool:
    if text not in _YES_NO:
        raise BadInput(f"{text!r} is neither yes nor no.")
    return _YES_NO[text]


def _yes(value: Any) -> str:
    return "" if value is None else "yes" if value else "no"


def _packages(_: str, __: BootOptions, text: str) -> tuple[Path, ...]:
    return tuple(check_package(Path(each.strip())) for each in text.split(",") if each.strip())


def _quota_texts(options: BootOptions) -> list[str]:
    quotas = options.quotas
    return [str(quotas.bytes), *(f"{package}={size}" for package, size in quotas.packages)]


SETTINGS = {
    "host": Setting("host", lambda _, __, text: text, _text, "the address to listen on"),
    "port": Setting("port", _whole(65535), _text, "the port to listen on; 0: any free one"),
    "advertise": Setting(
        "advertise",
        lambda _, __, text: parse_endpoint(text),
        lambda value: "" if value is None else f"{value[0]}:{value[1]}",
        "the HOST:PORT at which others reach the node, if not where it listens",
    ),
    "routers": Setting(
        "routers", lambda name, _, text: parse_routers(name, text), ",".join, "nodes through which alone it is reached"
    ),
    "reservations": Setting("reservations", _whole(65535), _text, "how many other nodes it may be a router for"),
    "packages": Setting(
        "packages",
        _packages,
        lambda value: "" if value is None else ",".join(map(str, value)) or "none",
        "the packages of its boots, instead of those that come with the node",
    ),
    "password-file": Setting(
        "password_file", lambda _, __, text: Path(text).absolute(), _text, "the file with the password of its key"
    ),
    "memory": Setting(
        "memory_bytes",
        lambda _, __, text: parse_memory(text),
        lambda value: "" if value is None else output.size(value),
        "the memory for waiting messages, such as 512MiB",
    ),
    "http": Setting(
        "http",
        lambda _, __, text: parse_http(text),
        lambda value: "" if value is None else output.endpoint(list(value)),
        "the [HOST:]PORT at which browsers reach its processes; 0: any free port",
    ),
    "tls": Setting(
        "tls",
        lambda _, __, text: parse_tls(text),
        lambda value: "" if value is None else ",".join(map(str, value)),
        "the files of the certificate for that and of its key, separated by a comma",
    ),
    "http-name": Setting(
        "http_name",
        lambda _, __, text: parse_http_name(text),
        _text,
        "the domain at which a proxy with TLS passes browsers on to it, and below which its packages are",
    ),
    "rpc-open": Setting("rpc_open", _flag, _yes, "whether programs here may send messages by HTTP without a token"),
    "http-client-private": Setting(
        "http_client_private",
        lambda _, __, text: parse_package_ids(text),
        ",".join,
        "the packages, separated by commas, that reach this machine and private networks by HTTP, too",
    ),
    "cipher": Setting(
        "cipher",
        lambda _, __, text: parse_cipher(text),
        _text,
        "AESGCM or ChaChaPoly, which its record lists instead of what is faster on its machine",
    ),
    "record": Setting(
        "record",
        lambda _, __, text: Path(text).absolute(),
        _text,
        "the folder in which it records what it is told, for `nectar replay`",
    ),
    "keep": Setting(
        "keep",
        lambda _, __, text: parse_keep(text),
        lambda value: "" if value is None else output.size(value),
        "how much of its recording is kept, such as 4GiB",
    ),
    "trace": Setting("trace", _flag, _yes, "whether it writes what happens to every message"),
    "metrics": Setting(
        "metrics",
        lambda _, __, text: parse_http(text),
        lambda value: "" if value is None else output.endpoint(list(value)),
        "the [HOST:]PORT at which Prometheus gets its metrics; 0: any free port",
    ),
    "otlp": Setting(
        "otlp",
        lambda _, __, text: parse_otlp(text),
        _text,
        "the URL of the OpenTelemetry collector that gets its traces",
    ),
    "otlp-sample": Setting(
        "otlp_sample", lambda _, __, text: parse_share(text), _text, "the share of lineages that it gets, such as 0.01"
    ),
    "once": Setting("once", _flag, _yes, "whether it stays down when its own code has failed"),
    "invite-only": Setting("invite_only", _flag, _yes, "for a registrar: whether new names need an invitation"),
    "releases-quota": Setting(
        "releases_quota",
        lambda _, __, text: parse_size(text),
        lambda value: "" if value is None else output.size(value),
        "the disk space for packages from other nodes, such as 16GiB",
    ),
    "max-files": Setting(
        "quotas",
        lambda _, options, text: replace(options.quotas, files=_whole(1 << 62)("", options, text)),
        lambda value: str(value.files),
        "files and folders that each package may have",
    ),
    "disk-floor": Setting(
        "quotas",
        lambda _, options, text: replace(options.quotas, floor=parse_size(text)),
        lambda value: "" if value.floor is None else output.size(value.floor),
        "the disk space that packages leave free",
    ),
    "quota": Setting(
        "quotas",
        lambda _, options, text: replace(
            parse_quotas(text.split(","), options.quotas.files, ""), floor=options.quotas.floor
        ),
        lambda value: output.size(value.bytes),
        "the disk quota of each package, such as 4GiB, or of one: app:some.nec=10GiB; separated by commas",
    ),
}
"""All settings, by the names that people use."""


def find(setting: str) -> Setting:
    """Return the setting of that name; raises BadInput."""
    if setting not in SETTINGS:
        raise BadInput(f"There is no setting {setting!r}: there are {', '.join(SETTINGS)}.")
    return SETTINGS[setting]


def changed(name: str, options: BootOptions, setting: str, text: str) -> BootOptions:
    """Return the options of the node `name` with another value; raises BadInput."""
    found = find(setting)
    options = replace(options, **{found.field: found.parse(name, options, text)})
    if options.routers and options.advertise:
        raise BadInput("A node is either reached at --advertise or through --routers: unset one of them first.")
    return options


def unset(options: BootOptions, setting: str) -> BootOptions:
    """Return the options with the usual value of a setting; raises BadInput."""
    found, usual = find(setting), DEFAULT_OPTIONS
    if found.field == "quotas":
        part = {"max-files": "files", "disk-floor": "floor"}.get(setting)
        if part is not None:
            return replace(options, quotas=replace(options.quotas, **{part: getattr(usual.quotas, part)}))
        kept = replace(usual.quotas, files=options.quotas.files, floor=options.quotas.floor)
        return replace(options, quotas=kept)
    return replace(options, **{found.field: getattr(usual, found.field)})


def merged(kept: BootOptions, options: BootOptions, given: Iterable[str]) -> BootOptions:
    """Return what was kept with those fields of `options` that were given now, and with what holds for one boot."""
    fields = {field: getattr(options, field) for field in given}
    if "routers" in fields and "advertise" not in fields:
        fields["advertise"] = None
    if "advertise" in fields and "routers" not in fields:
        fields["routers"] = ()
    return replace(
        kept,
        **fields,
        consent=options.consent,
        rescue=options.rescue,
        take_over=options.take_over,
        password=options.password,
        lifeline=None,
    )
