"""Nodes that are watched: a scraper reads their metrics, and a collector gets a request between two as one trace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.conformance.lab import PACKAGE, SocketLab
from tests.conformance.steps import respond, script, wait_for
from tests.nectar_node.driver.telemetry.collector import Collector, Told, collecting

A, B = "watched-a.nec", "watched-b.nec"
DASHBOARD = Path(__file__).parents[4] / "docs" / "monitoring" / "dashboard.json"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def watched(network: LocalTestnet, collector: Collector) -> LocalTestnet:
    options = BootOptions(metrics=("127.0.0.1", 0), otlp=collector.url, otlp_sample=1.0)
    network.boot({A: options, B: options})
    return network


def url_of(network: LocalTestnet, name: str) -> str:
    with network.connect(name) as client:
        return str(client.ask("status", 20.0)["metrics"])


def families_of(text: str) -> list[Metric]:
    return list(parse(text))


def value(text: str, name: str, **labels: str) -> float:
    for family in families_of(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    raise AssertionError(f"no {name} with {labels}")


def test_a_scraper_reads_what_the_node_counts(watched: LocalTestnet) -> None:
    watched.message(A, f"{B}@echo:echo:sys", '"hello"')
    answer = httpx.get(url_of(watched, A))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert value(answer.text, "nectar_node_info", node=A) == 1
    assert value(answer.text, "nectar_requests_total", outcome="answered") >= 1
    assert value(answer.text, "nectar_peer_live", peer=B) == 1
    assert value(answer.text, "nectar_peer_sent_bytes_total", peer=B) > 0
    assert value(answer.text, "nectar_package_processes", package="echo:sys") == 2
    assert value(answer.text, "process_resident_memory_bytes") > 1 << 20


def test_the_same_comes_as_open_metrics_for_whoever_asks_so(watched: LocalTestnet) -> None:
    answer = httpx.get(url_of(watched, A), headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    names = {family.name for family in parse_open(answer.text)}  # type: ignore[no-untyped-call]  # it has no types
    assert {"nectar_requests", "nectar_peer_sent_bytes", "nectar_memory_used_bytes"} <= names


def test_names_have_base_units_and_suffixes(watched: LocalTestnet) -> None:
    for family in families_of(httpx.get(url_of(watched, A)).text):
        assert re.fullmatch(r"(nectar|process)(_[a-z]+)+", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(milliseconds|ms|kb|kib|mb|minutes|count)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter")


def test_the_dashboard_asks_only_for_metrics_that_a_node_serves(watched: LocalTestnet) -> None:
    text = httpx.get(url_of(watched, A)).text
    served = {sample.name for family in families_of(text) for sample in family.samples}
    served |= {family.name for family in families_of(text)}
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"\b(?:nectar|process)_[a-z_]+", target["expr"])
    }
    assert len(asked) > 15
    assert asked <= served
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", None, 404),
        ("/metrics?name=x", None, 200),
        ("/metrics", "evil.example", 403),
        ("/metrics", "evil.example:80", 403),
        ("/metrics", "localhost:1", 200),
        ("/metrics", "[::1]:1", 200),
    ],
)
def test_another_path_and_a_name_that_leads_here_are_refused(
    watched: LocalTestnet, path: str, host: str | None, status: int
) -> None:
    url = url_of(watched, A).removesuffix("/metrics")
    headers = {} if host is None else {"Host": host}
    assert httpx.get(url + path, headers=headers).status_code == status


def test_nothing_can_be_sent_to_it(watched: LocalTestnet) -> None:
    assert httpx.post(url_of(watched, A), content=b"x").status_code == 405
    assert httpx.head(url_of(watched, A)).content == b""


def test_a_request_between_two_nodes_is_one_trace(watched: LocalTestnet, collector: Collector) -> None:
    watched.message(A, f"{B}@echo:echo:sys", '"traced"')

    def trace_of(told: list[Told]) -> list[Told]:
        handled = [each for each in told if each.service == B and attributes(each.span)["nectar.source"].startswith(A)]
        return [each for each in told if each.span.trace_id in {it.span.trace_id for it in handled}]

    told = collector.take_until(lambda told: {each.service for each in trace_of(told)} == {A, B})
    trace = trace_of(told)
    sent = next(each.span for each in trace if each.service == A)
    handled = next(each.span for each in trace if each.span.parent_span_id == sent.span_id)
    assert sent.kind == Span.SPAN_KIND_PRODUCER
    assert handled.kind == Span.SPAN_KIND_CONSUMER
    assert not sent.parent_span_id
    assert (sent.name, handled.name) == ("send echo:sys", "process echo:sys")
    assert attributes(sent)["messaging.message.id"] == attributes(handled)["messaging.message.id"]
    assert attributes(sent)["server.address"] == B
    assert sent.start_time_unix_nano <= handled.start_time_unix_nano <= handled.end_time_unix_nano
    assert handled.end_time_unix_nano <= sent.end_time_unix_nano


def test_a_lineage_over_three_nodes_and_back_is_one_tree(
    network: LocalTestnet, collector: Collector, tmp_path: Path
) -> None:
    names = ("traced-a.nec", "traced-b.nec", "traced-c.nec")
    options = replace(SocketLab.options(tmp_path), otlp=collector.url, otlp_sample=1.0)
    network.boot(dict.fromkeys(names, options))
    a, b, c = (f"{name}@a:{PACKAGE}" for name in names)
    again = f"{names[0]}@b:{PACKAGE}"
    back = wait_for(again, "", respond("a"), expects=20)
    onward = wait_for(c, "", back, respond("c"), expects=20)
    steps = wait_for(b, "", onward, respond("b"), expects=20)
    answer = network.message(names[0], a, script(steps, respond("done")).decode(), 20)
    assert answer["body"] == "done"

    def trace_of(told: list[Told]) -> list[Told]:
        trace = next((each.span.trace_id for each in told if attributes(each.span)["nectar.target"] == a), None)
        return [each for each in told if each.span.trace_id == trace]

    told = trace_of(collector.take_until(lambda told: len(trace_of(told)) == 7))
    by_id = {each.span.span_id: each for each in told}
    (at,) = [each for each in told if each.service == names[0] and attributes(each.span)["nectar.target"] == again]
    way = [at.service]
    while at.span.parent_span_id:
        at = by_id[at.span.parent_span_id]
        way.append(at.service)
    assert way == [names[0], names[2], names[2], names[1], names[1], names[0], names[0]]
    assert not any(each.span.status.code == Status.STATUS_CODE_ERROR for each in told)
    for name in names:
        network.stop(name)


def test_a_request_that_fails_says_why(watched: LocalTestnet, collector: Collector) -> None:
    watched.message(A, "nobody.nec@echo:echo:sys", '"lost"')

    def failed(told: list[Told]) -> list[Span]:
        return [each.span for each in told if each.span.status.code == Status.STATUS_CODE_ERROR]

    span = failed(collector.take_until(lambda told: bool(failed(told))))[0]
    assert attributes(span)["error.type"] == "no_such_name"
    assert span.status.message == "no such name"


def attributes(span: Span) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


@contextmanager
def booted(network: LocalTestnet, name: str, options: BootOptions) -> Iterator[LocalTestnet]:
    network.add(name, options)
    try:
        yield network
    finally:
        network.stop(name)


def test_a_collector_that_is_down_is_told_once_and_holds_nothing_up(network: LocalTestnet) -> None:
    name = "no-collector.nec"
    options = BootOptions(otlp="http://127.0.0.1:9/v1/traces", otlp_sample=1.0)
    with booted(network, name, options):
        for _ in range(5):
            assert network.message(name, "our@echo:echo:sys", '"on"')["outcome"] == "response"
    assert network.log(name).count("spans are lost: http://127.0.0.1:9/v1/traces: ") == 1


def test_a_port_in_use_is_one_sentence(watched: LocalTestnet) -> None:
    port = url_of(watched, A).rpartition(":")[2].removesuffix("/metrics")
    ended = nectar("boot", "port-in-use.nec", "--detach", "--metrics", port, folder=watched.folder)
    assert ended.code != 0
    assert ended.err == (
        f"Metrics cannot be served at 127.0.0.1:{port}: Address already in use. Give --metrics another place.\n"
    )
