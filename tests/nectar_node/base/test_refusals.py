"""Whoever cannot join is told why in a sentence of its own."""

from __future__ import annotations

from nectar_node.base.refusals import why_refused
from net.contract.events import FailureReason
from net.peering.resolver import REASONS


def test_every_refusal_of_a_registrar_has_a_sentence_of_its_own_that_says_what_to_do() -> None:
    reasons = (*REASONS.values(), FailureReason.UNREACHABLE, FailureReason.TRY_LATER)
    sentences = {reason: why_refused("a.nec", reason, 42) for reason in reasons}
    assert len(set(sentences.values())) == len(sentences) == 14
    assert "in 42 s" in sentences[FailureReason.TRY_LATER]
    for sentence in sentences.values():
        assert "a.nec" in sentence
        assert ":" in sentence
        assert sentence.endswith(".")


def test_a_reason_that_this_node_does_not_know_is_told_all_the_same() -> None:
    reason = FailureReason.RECORD_REFUSED
    assert why_refused("a.nec", reason) == "The registrar does not accept a.nec: record refused."
