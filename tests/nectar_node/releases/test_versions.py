"""Which of two versions is newer: the order of Semantic Versioning 2.0.0."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nectar_node.releases.errors import BadRelease
from nectar_node.releases.versions import Version

IN_ORDER = (
    *("0.0.0", "0.0.9", "0.0.10", "0.1.0"),
    *("1.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
    *("1.0.0-rc.1", "1.0.0", "1.0.1-x-y-z.--", "1.0.1", "2.0.0", "10.0.0"),
)


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(IN_ORDER)))
def test_versions_are_in_the_order_of_semver(lower: str, higher: str) -> None:
    assert Version(lower) < Version(higher)
    assert Version(lower) != Version(higher)


def test_a_build_makes_no_other_version() -> None:
    assert Version("1.0.0+5") == Version("1.0.0+6.sha-1")
    assert hash(Version("1.0.0+5")) == hash(Version("1.0.0"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.0", "v1.0.0", "1.0.0.", "01.0.0", "1.0.0-01", "1.0.0-", "1.0.0+", "1.0.0-a..b", "1.0.0-a_b"),
        *("1.0.0\n", "\N{ARABIC-INDIC DIGIT ONE}.0.0", "1." * 40, "1.0.0-" + "a" * 60),
    ],
)
def test_what_is_no_version_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BadRelease, match="is not a version: expected three numbers"):
        Version(text)
