"""`python -m bench [NAME …] [--json | --markdown]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from bench import (
    backup,
    blobs,
    boot,
    chaos,
    check,
    cluster,
    exhaust,
    fair,
    folders,
    handshake,
    hostile,
    http,
    idle,
    install,
    kv,
    languages,
    latency,
    local,
    lookups,
    markdown,
    metrics,
    neighbours,
    newcomer,
    page,
    recorder,
    remote,
    routed,
    scale,
    sim,
    sockets,
    start,
    state,
    stream,
    transfer,
    wan,
)
from bench.before import BEFORE
from bench.measure import Result, show

BENCHES: dict[str, Callable[[], list[Result]]] = {
    "transfer": transfer.run,
    "folders": folders.run,
    "wan": wan.run,
    "install": install.run,
    "local": local.run,
    "blobs": blobs.run,
    "remote": remote.run,
    "metrics": metrics.run,
    "routed": routed.run,
    "stream": stream.run,
    "latency": latency.run,
    "fair": fair.run,
    "handshake": handshake.run,
    "hostile": hostile.run,
    "idle": idle.run,
    "start": start.run,
    "scale": scale.run,
    "boot": boot.run,
    "lookups": lookups.run,
    "http": http.run,
    "page": page.run,
    "sockets": sockets.run,
    "neighbours": neighbours.run,
    "kv": kv.run,
    "state": state.run,
    "sim": sim.run,
    "check": check.run,
    "exhaust": exhaust.run,
    "cluster": cluster.run,
    "recorder": recorder.run,
    "languages": languages.run,
    "newcomer": newcomer.run,
    "chaos": chaos.run,
    "backup": backup.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the figures that are named, or all."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure this node, each figure beside a reference.")
    parser.add_argument("name", nargs="*", help=f"which: {', '.join(BENCHES)}; all if none is named")
    parser.add_argument("--minutes", type=float, default=chaos.MINUTES, metavar="M", help="how long chaos takes")
    parser.add_argument("--quick", action="store_true", help="hostile looks at memory after 10 s, and not after 60")
    parser.add_argument("--before", action="store_true", help=f"languages, sim: beside commit {BEFORE}, too")
    parser.add_argument("--keep-tools", action="store_true", help="newcomer: with the compilers that are here")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="write docs/performance.md; print the section of some")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.name if name not in BENCHES]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(BENCHES)}")
    benches = BENCHES | {"chaos": lambda: chaos.run(chosen.minutes)}
    benches["languages"] = lambda: languages.run(chosen.before)
    benches["sim"] = lambda: sim.run(chosen.before)
    benches["newcomer"] = lambda: newcomer.run(chosen.keep_tools)
    if chosen.quick:
        benches["hostile"] = lambda: hostile.run(hostile.QUICK_SECONDS)
    results: list[Result] = []
    for name in chosen.name or BENCHES:
        taken = benches[name]()
        results += taken
        if not (chosen.json or chosen.markdown):
            for result in taken:
                show(result)
    if chosen.json:
        print(json.dumps({result.name: asdict(result) for result in results}, indent=2))
    elif chosen.markdown:
        _write(markdown.section(results, markdown.this_machine(), markdown.today()), whole=not chosen.name)
    elif not chosen.name:
        print(f"\n{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    return 0


def _write(figures: str, whole: bool) -> None:
    """Write into the page if the run took all figures of one machine; print the figures of a partial run."""
    if not whole:
        print(figures)
        return
    markdown.PAGE.write_text(markdown.replaced(markdown.PAGE.read_text(), figures))
    print(f"{markdown.PAGE} has these figures now.")


if __name__ == "__main__":
    sys.exit(main())
