"""How a guest's calls by wasi:http become requests to `http_client:distro:sys`, and what comes of them its answers.

The client's errors are sentences; the cases of wasi:http's error-code are found by what these say. One that nothing is
known of is an internal-error with that sentence.
"""

from __future__ import annotations

import json
import re

from kernel.contract.address import OUR_NODE, Address
from kernel.contract.guest import Arrival, Failure
from kernel.contract.http import HttpCall, HttpFailure, ServerAnswer
from kernel.contract.message import LazyLoadBlob, Reason
from nectar_node.base.system_processes import HTTP_CLIENT
from nectar_node.contract.json_shapes import RequestRefused, dump, load_untrusted, variant_untrusted

MAX_ANSWER_BYTES = 512 << 10
"""Bytes of an answer without its body: 100 headers with 32 KiB, escaped."""
_TARGET = Address(OUR_NODE, HTTP_CLIENT)
_CODES = {
    "BadMethod": ("HTTP-request-method-invalid", "the method cannot be used"),
    "BadUrl": ("HTTP-request-URI-invalid", "the URL cannot be asked for"),
}
_REASONS = {
    Reason.NO_CAPABILITY: ("HTTP-request-denied", f"it lacks the capability to message {HTTP_CLIENT}"),
    Reason.NO_SUCH_PROCESS: ("HTTP-request-denied", f"this node has no {HTTP_CLIENT}"),
    Reason.EXPIRED: ("HTTP-response-timeout", "it has run out of time"),
}
_SENTENCES = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"is no server's address$|has not allowed", "destination-IP-prohibited"),
        (r"is not known|has no address$", "DNS-error"),
        (r"cannot be reached: .*refused", "connection-refused"),
        (r"cannot be reached", "destination-unavailable"),
        (r"certificate is not trusted", "TLS-certificate-error"),
        (r"speaks no TLS", "TLS-protocol-error"),
        (r"does not answer", "connection-timeout"),
        (r"run out of time", "HTTP-response-timeout"),
        (r"connection has broken|disconnected", "connection-terminated"),
        (r"too many requests", "connection-limit-reached"),
        (r"redirects$", "loop-detected"),
        (r"^a body has at most", "HTTP-request-body-size"),
        (r"^the answer has more than", "HTTP-response-body-size"),
        (r"^the answer's headers", "HTTP-response-header-section-size"),
        (r"^there are more than \d+ headers$|^the headers are longer", "HTTP-request-header-section-size"),
    )
)


class WasiHttpClient:
    """A `kernel.contract.guest.HttpMessenger`."""

    def request(self, call: HttpCall) -> tuple[Address, bytes, LazyLoadBlob | None]:
        """Return whom to send a request, its body and its blob."""
        headers: dict[str, str] = {}
        for name, value in call.fields:
            text = value.decode("latin-1")
            between = "; " if name == "cookie" else ", "  # RFC 9113, 8.2.3; RFC 9110, 5.3
            headers[name] = f"{headers[name]}{between}{text}" if name in headers else text
        order = {"Http": {"method": call.method, "version": None, "url": call.url, "headers": headers}}
        return _TARGET, dump(order), LazyLoadBlob(None, call.body) if call.body else None

    def answer(self, outcome: Arrival | Failure) -> ServerAnswer | HttpFailure:
        """Return what the outcome of that request says; raises nothing, whatever it is."""
        if isinstance(outcome, Failure):
            reason = outcome.error.reason
            return HttpFailure(*_REASONS.get(reason, ("internal-error", reason.value)))
        try:
            case, value = variant_untrusted(load_untrusted(outcome.message.body, MAX_ANSWER_BYTES))
            if case == "Err":
                return _failure(value)
            answer = value["Http"]
            fields = tuple((name.lower(), text.encode("latin-1")) for name, text in answer["headers"].items())
            status = answer["status"]
            if isinstance(status, int) and 0 <= status < 1 << 16:
                return ServerAnswer(status, fields, b"" if outcome.blob is None else outcome.blob.bytes)
        except (RequestRefused, KeyError, TypeError, AttributeError, UnicodeError):
            pass
        return HttpFailure("internal-error", f"{HTTP_CLIENT} has answered what nobody understands")


def _failure(error: object) -> HttpFailure:
    """Return what an error of the client's says."""
    kind, facts = next(iter(error.items()), ("", None)) if isinstance(error, dict) else (error, None)
    if kind in _CODES:
        return HttpFailure(*_CODES[kind])
    sentence = facts.get("error") if isinstance(facts, dict) else None
    if not isinstance(sentence, str):
        return HttpFailure("internal-error", json.dumps(error)[:1000])
    code = next((code for pattern, code in _SENTENCES if pattern.search(sentence)), "internal-error")
    return HttpFailure(code, sentence)
