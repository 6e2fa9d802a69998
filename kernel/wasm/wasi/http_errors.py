"""The values of wasi:http's error-code."""

from __future__ import annotations

from typing import Any

from kernel.contract.http import HttpFailure

_PLAIN = {
    "destination-unavailable": 3,
    "destination-IP-prohibited": 4,
    "connection-refused": 6,
    "connection-terminated": 7,
    "connection-timeout": 8,
    "connection-limit-reached": 11,
    "TLS-protocol-error": 12,
    "TLS-certificate-error": 13,
    "HTTP-request-denied": 15,
    "HTTP-request-method-invalid": 18,
    "HTTP-request-URI-invalid": 19,
    "HTTP-request-URI-too-long": 20,
    "HTTP-response-timeout": 33,
    "HTTP-protocol-error": 35,
    "loop-detected": 36,
}
"""Cases without a payload."""
_SIZES = {
    "HTTP-request-body-size": 17,
    "HTTP-request-header-section-size": 21,
    "HTTP-request-trailer-section-size": 23,
    "HTTP-response-header-section-size": 26,
    "HTTP-response-body-size": 28,
}
"""Those whose payload, a size, is not told."""
_DNS_ERROR, _INTERNAL_ERROR = 1, 38
KNOWN = {**_PLAIN, **_SIZES, "DNS-error": _DNS_ERROR, "internal-error": _INTERNAL_ERROR}
"""The numbers of cases, by name."""


def error_code(failure: HttpFailure) -> tuple[int, Any]:
    """Return the error-code of a failure; one of another name becomes internal-error with its sentence."""
    code = failure.code
    if code in _PLAIN:
        return _PLAIN[code], None
    if code in _SIZES:
        return _SIZES[code], None
    if code == "DNS-error":
        return _DNS_ERROR, (failure.sentence, None)
    return _INTERNAL_ERROR, failure.sentence
