"""The registrar's answers to frames: a thin layer between `registrar` and the wire."""

from net.directory import SignedRecord
from net.errors import RegistrationRefused
from net.registrar import Registrar
from net.wire import Control, Found, Granted, Lookup, Refused, Register


def serve(registrar: Registrar, request: Lookup | Register) -> tuple[Control, SignedRecord | None]:
    """The answer, and the record if one was granted."""
    if isinstance(request, Lookup):
        return Found(request.request, registrar.signed(request.name)), None
    try:
        granted = registrar.register_untrusted(request.record)
    except RegistrationRefused as refusal:
        return Refused(request.request, refusal.code), None
    return Granted(request.request, granted.encode()), granted
