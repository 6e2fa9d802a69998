"""`nectar boot`: run one node, in this process or in the background."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path

import typer

from nectar_node.base import own_files
from nectar_node.base.consent import NOTHING_SAID, Consent
from nectar_node.base.errors import BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.cli.starting import consent, flags
from nectar_node.cli.starting.joins import joined
from nectar_node.cli.starting.reached import await_places, tell_places, tell_web
from nectar_node.console import output
from nectar_node.console.sizes import parse_size
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher import launch, supervisor
from nectar_node.launcher.arguments import (
    check_package,
    parse_cipher,
    parse_directory,
    parse_endpoint,
    parse_http,
    parse_http_name,
    parse_invitation,
    parse_keep,
    parse_memory,
    parse_otlp,
    parse_package_ids,
    parse_quotas,
    parse_routers,
    parse_share,
    parse_tls,
)
from nectar_node.launcher.boot_options import BootOptions, as_before, kept_options
from nectar_node.launcher.joining import host_towards, join_network, read_join_text
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.node_config import make_config
from nectar_node.launcher.passwords import with_password
from nectar_node.launcher.settings import merged
from nectar_node.storage.ledger import DEFAULT_FILES
from net.base.limits import MAX_RESERVATIONS
from net.names.joining import JoinText

WHERE = frozenset({"host", "port", "advertise", "routers"})
"""Options that say where a node is reached."""


def boot(
    context: typer.Context,
    name: flags.Name,
    join: flags.Join = "",
    folder: flags.Folder = DEFAULT_FOLDER,
    detach: flags.Detach = False,
    host: flags.Host = LOOPBACK,
    port: flags.Port = 0,
    advertise: flags.Advertise = "",
    routers: flags.Routers = "",
    reservations: flags.Reservations = MAX_RESERVATIONS,
    package: flags.Package = None,
    no_packages: flags.NoPackages = False,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    replace: consent.Replace = False,
    allow_sys: consent.AllowSys = False,
    password_file: flags.PasswordFile = None,
    directory: flags.Directory = None,
    authority: flags.Authority = "",
    memory: flags.Memory = "",
    invitation: flags.Invitation = "",
    invite_only: flags.InviteOnly = None,
    once: flags.Once = False,
    cipher: flags.Cipher = "",
    trace: flags.Trace = False,
    record: flags.Record = None,
    no_record: flags.NoRecord = False,
    keep: flags.Keep = "",
    metrics: flags.Metrics = "",
    otlp: flags.Otlp = "",
    otlp_sample: flags.OtlpSample = "",
    quota: flags.Quota = None,
    max_files: flags.MaxFiles = DEFAULT_FILES,
    disk_floor: flags.DiskFloor = "",
    releases_quota: flags.ReleasesQuota = "",
    http: flags.Http = "",
    tls: flags.Tls = "",
    http_name: flags.HttpName = "",
    rpc_open: flags.RpcOpen = False,
    http_client_private: flags.HttpClientPrivate = "",
    rescue: flags.Rescue = False,
    take_over: flags.TakeOver = False,
    as_json: flags.AsJson = False,
) -> int:
    """Run the node NAME of the network in D until Ctrl-C or SIGTERM.

    Options that are not given are as they were at its last boot: `nectar config list` shows them.
    """
    options = BootOptions(
        host=host,
        port=port,
        advertise=parse_endpoint(advertise) if advertise else None,
        routers=parse_routers(name, routers),
        reservations=reservations,
        packages=() if no_packages else tuple(map(check_package, package)) if package else None,
        password_file=password_file,
        directory=parse_directory(directory, authority),
        memory_bytes=parse_memory(memory) if memory else None,
        cipher=parse_cipher(cipher) if cipher else None,
        trace=trace,
        record=None if record is None or no_record else record.absolute(),
        keep=parse_keep(keep) if keep else None,
        metrics=parse_http(metrics) if metrics else None,
        otlp=parse_otlp(otlp) if otlp else None,
        otlp_sample=parse_share(otlp_sample) if otlp_sample else None,
        quotas=parse_quotas(quota or (), max_files, disk_floor),
        releases_quota=parse_size(releases_quota) if releases_quota else None,
        invitation=parse_invitation(invitation) if invitation else None,
        invite_only=invite_only,
        once=once,
        http=parse_http(http) if http else None,
        tls=parse_tls(tls) if tls else None,
        http_name=parse_http_name(http_name) if http_name else None,
        rpc_open=rpc_open,
        http_client_private=parse_package_ids(http_client_private),
        rescue=rescue,
        take_over=take_over,
    )
    if as_json and not detach:
        raise BadInput("--json is for --detach: a node in the foreground shows its log.")
    _check(name, options)
    given = {field for option, field in flags.FIELDS.items() if _is_given(context, option)}
    joining = read_join_text(join) if join else None
    network = _network(name, join, joining, folder, detach=detach, folder_given=_is_typed(context, "folder"))
    kept = kept_options(network.place(name))
    is_new = not network.place(name).boot.exists()
    if joining is not None:
        options, given = _with_text(joining, options, given, is_new=is_new)
    options = merged(kept, options, given)
    if is_new and joining is None and not given & WHERE:
        options = joined(network, name, options)
    said = Consent(tuple(grant or ()), tuple(deny or ()), replace, allow_sys)
    options = with_consent(network.place(name), options, said)
    if detach:
        return _boot_detached(network, name, options, as_json=as_json)
    return _boot_here(network, name, options, once=once)


def _network(
    name: str, join: str, joining: JoinText | None, folder: Path, *, detach: bool, folder_given: bool
) -> LocalNetwork:
    """Return the network of the node: in `folder`, made there by the text `joining`, or in the folder `join`."""
    if joining is not None:
        if name == REGISTRAR_NAME:
            raise BadInput(f"{REGISTRAR_NAME} cannot join a network: it makes one. Choose another name.")
        network = LocalNetwork(folder)
        network.secure()
        join_network(network, joining)
        return network
    if join and folder_given and folder != Path(join):
        raise BadInput("Both --join and --dir name a folder: leave one out.")
    place = Path(join) if join else folder
    network = LocalNetwork.find(place) if detach else LocalNetwork(place)
    network.secure()
    return network


def _with_text(
    joining: JoinText, options: BootOptions, given: set[str], *, is_new: bool
) -> tuple[BootOptions, set[str]]:
    """Return the options of a node that joins by a text, and which of them were given.

    It shows the text's invitation, and a new one listens where others of its network reach it.
    """
    if joining.invitation is not None and "invitation" not in given:
        options, given = changed(options, invitation=joining.invitation), given | {"invitation"}
    if is_new and not given & WHERE:
        options, given = changed(options, host=host_towards(joining)), given | {"host"}
    return options, given


def _check(name: str, options: BootOptions) -> None:
    """Raise BadInput if options exclude each other, or are not for a node of this name."""
    check_name(name)
    if options.invite_only is not None and name != REGISTRAR_NAME:
        raise BadInput(f"Only {REGISTRAR_NAME} gives names away: leave out --invite-only and --open for {name}.")
    if options.routers and options.advertise:
        raise BadInput("A node is either reached at --advertise or through --routers: leave out one of them.")


def _boot_here(network: LocalNetwork, name: str, options: BootOptions, *, once: bool) -> int:
    """Run the node in this process until it ends; return its exit code."""
    place = network.place(name)
    if name == REGISTRAR_NAME:
        options = as_before(network.folder, place, options)
    own_files.make_folder(place.path)
    config = make_config(network, name, with_password(place, options))
    # Importing this loads trio and Wasmtime, which costs as much as everything else together.
    return supervisor.run_once(config) if once else supervisor.run_supervised(config)


def _is_typed(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _is_given(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _boot_detached(network: LocalNetwork, name: str, options: BootOptions, *, as_json: bool) -> int:
    started = launch.start(network, [(name, options)], copies=False)[0]
    if as_json:
        routers = {"routers": await_places(network, name)} if options.routers else {}
        output.print_json({**started.value(), **routers})
        return 0
    if options.routers:
        tell_places(name, started.pid, await_places(network, name))
    else:
        output.say(f"{name} runs as process {started.pid} on {output.endpoint(list(started.endpoint))}.")
    tell_web(network, name)
    if started.warning is not None:
        output.complain(started.warning)
    return 0


def with_consent(folder: NodeFolder, options: BootOptions, said: Consent) -> BootOptions:
    """Return the options with what the user of the node in `folder` says of its packages; raises NodeError."""
    if options.packages is None and said != NOTHING_SAID:
        raise BadInput("--grant, --deny, --replace and --allow-sys are for the packages that --package names.")
    return changed(options, consent=consent.for_boot(folder, options.packages or (), said))
