"""Nothing that a process answers breaks the command that asked it."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from nectar_node.launcher.client import ControlError
from nectar_node.launcher.transfer_answers import (
    TransferFailed,
    TransferProgress,
    decode_outcome_untrusted,
    decode_progress_untrusted,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["Done", "Failed", "Err", "Status", "bytes"]), inner)
    ),
)
bodies = st.text() | st.builds(json.dumps, values) | st.none() | st.integers()
answers = st.builds(lambda body, outcome: {"body": body, "outcome": outcome}, bodies, st.just("response") | st.text())


@given(answers)
def test_no_outcome_causes_another_error(answer: dict[str, object]) -> None:
    with contextlib.suppress(TransferFailed):
        decode_outcome_untrusted(answer)


@given(answers)
def test_no_progress_causes_another_error(answer: dict[str, object]) -> None:
    with contextlib.suppress(ControlError):
        decode_progress_untrusted(answer)


def test_a_progress_is_read_unless_the_process_is_too_busy() -> None:
    body = json.dumps({"Status": {"state": "sending", "bytes": 1, "size": 2, "resumed_from": 0}})
    assert decode_progress_untrusted({"outcome": "response", "body": body}) == TransferProgress("sending", 1, 2, 0)
    assert decode_progress_untrusted({"outcome": "timeout", "reason": "expired"}) is None
