"""Examples of tests with Hypothesis: which one runs, as a text that lets the test run it again, and it alone."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from typing import Any

MAX_TEXT = 1 << 20
"""Characters of an example's text."""


class BadExample(ValueError):
    """A text is not that of an example; the message says why."""


def running_example() -> str | None:
    """Return the text of the example that runs, as far as it is drawn; None: there is none, or Hypothesis does not
    tell."""
    if "hypothesis" not in sys.modules:
        return None
    import hypothesis

    try:  # what `settings.print_blob` prints; neither is among the names that Hypothesis promises to keep
        from hypothesis.control import current_build_context
        from hypothesis.core import encode_failure

        blob = encode_failure(current_build_context().data.choices)
    except (ImportError, AttributeError, hypothesis.errors.InvalidArgument):
        return None
    return f"{hypothesis.__version__}:{base64.b64encode(blob).decode()}"


def is_of_hypothesis(error: BaseException) -> bool:
    """Return whether Hypothesis itself ends an example with this error: the example has not failed."""
    if "hypothesis" not in sys.modules:
        return False
    from hypothesis.errors import HypothesisException, StopTest, UnsatisfiedAssumption

    return isinstance(error, (HypothesisException, StopTest, UnsatisfiedAssumption))


def run_only(test: Callable[..., Any], text: str) -> None:
    """Let a test with Hypothesis run that example alone; raises BadExample."""
    version, colon, encoded = text.partition(":")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if not colon or not blob or len(text) > MAX_TEXT:
        raise BadExample(f"{text[:80]!r} is not an example: take it from the journal of a failed test")
    try:
        import hypothesis
    except ImportError:
        raise BadExample("the example is one of Hypothesis, which is not installed here") from None
    if hypothesis.__version__ != version:
        raise BadExample(f"the example was drawn by Hypothesis {version}, and here is {hypothesis.__version__}")
    if not hasattr(test, "hypothesis"):
        raise BadExample("the example is one of Hypothesis, and the test does not use it any more")
    hypothesis.reproduce_failure(version, blob)(getattr(test, "__func__", test))
