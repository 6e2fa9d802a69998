"""Fuzzes what packages say of their messages: files of interfaces, bodies of messages, and what is typed into forms."""

from __future__ import annotations

import json
from pathlib import Path

from kernel.contract.address import PackageId
from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.form import fill_message
from nectar_node.interfaces.messages import ProcessApi, body_misfit_untrusted, read_api_untrusted
from nectar_node.releases.document import ApiFile
from tests.nectar_node.interfaces.samples import CHESS

_PACKAGES = Path(__file__).resolve().parents[2] / "packages"
_BODY = b"\n// body: "
SEEDS = (
    CHESS.encode() + _BODY + b'{"NewGame":{"white":"a.nec","black":"our@a:b:c"}}',
    (_PACKAGES / "file_transfer" / "api" / "file_transfer.wit").read_bytes() + _BODY + b'{"Policy":{"accept":["a"]}}',
    b"interface a { use b.{t}; type request = result<t, list<u8, 3>>; } interface b { flags t { x } }" + _BODY + b"1",
)
_MOST_TYPED = 40
"""Lines that are typed into one form."""


def interfaces(data: bytes) -> None:
    """A file of interfaces, and after it the body of a message: what is read has examples, and forms that fit it."""
    text = data.decode(errors="replace")
    _, _, body = text.partition(_BODY.decode())
    try:
        apis = read_api_untrusted(PackageId("chess", "sys"), (), [ApiFile("a.wit", text)])
    except BadInterface:
        return
    for api in apis:
        body_misfit_untrusted(api.request, body)
        if "untagged" in text:
            continue  # what is spelled like another case is taken for that
        for message in api.messages:
            example = message.example
            assert example is None or api.is_raw or misfit(api.request, example) is None
        _fill(api, [*body.split(), "", "1", "y", "0x00", "true", "n", "[]"])


def _fill(api: ProcessApi, typed: list[str]) -> None:
    """What is asked for makes a body that fits, whatever is typed."""
    if not api.messages:
        return
    form, body = fill_message(api, None), None
    try:
        next(form)
        for at in range(_MOST_TYPED):
            form.send(typed[at % len(typed)])
    except StopIteration as end:
        body = str(end.value)
    assert body is None or api.is_raw or misfit(api.request, json.loads(body)) is None
