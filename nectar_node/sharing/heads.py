"""The heads of a package that sources show: which of them its publisher has signed, and which is the newest. Pure."""

from __future__ import annotations

from collections.abc import Callable

from kernel.contract.address import PackageId
from nectar_node.releases.errors import BadRelease, Downgrade, NotProven
from nectar_node.releases.head import SignedHead, read_head_untrusted
from nectar_node.releases.rules import check_head
from nectar_node.sharing.sources import ReleaseSource, Sources
from nectar_node.sharing.wire.messages import FAILED, NOT_FOUND, OFFLINE, BadAnswer

Drop = Callable[[ReleaseSource, str, bool], None]
"""Asks a source no more: why, and whether what it served was false."""


class Heads:
    """Those of one fetch."""

    def __init__(self, package: PackageId, sources: Sources, drop: Drop) -> None:
        self.good_at: float | None = None
        """When the first that is proven was there."""
        self._package = package
        self._publisher = package.publisher
        self._sources = sources
        self._drop = drop
        self._shown: dict[str, SignedHead] = {}
        """What sources show, by their names, and is not judged yet."""
        self._good: dict[str, SignedHead] = {}
        """Those that are proven."""
        self._unproven: dict[str, SignedHead] = {}
        """Those that the publisher's key of today has not signed: of a former key, or forged."""
        self._behind: str | None = None
        """The sentence about a source that shows an older head than this node has seen."""

    def take_untrusted(self, source: ReleaseSource, data: bytes) -> None:
        """Take what a source shows; raises BadAnswer."""
        try:
            signed = read_head_untrusted(data)
        except BadRelease:
            raise BadAnswer("sends a head that cannot be read") from None
        if signed.head.package != self._package:
            raise BadAnswer(f"sends the head of another package than {self._package}")
        self._shown[source.name] = signed

    def shows(self, source: ReleaseSource, head: SignedHead | None) -> bool:
        """Return whether a source has shown this very head, which is proven."""
        return self._good.get(source.name) == head

    def judge(self, key: bytes | None, seen: SignedHead | None, now: float) -> None:
        """Check what has come, as soon as the publisher's key is known; `seen` is what this node believed before."""
        for name, signed in [*self._shown.items()] if key is not None else ():
            assert key is not None
            source = self._sources.all[name]
            del self._shown[name]
            try:
                check_head(signed, key, None if seen is None else seen.head)
            except NotProven:
                self._unproven[name] = signed
            except Downgrade as error:
                self._behind = str(error)
                self._drop(source, f"shows release {signed.head.number}, which is behind", False)
            except BadRelease as error:
                self._behind = str(error)
                self._drop(source, "shows another release with a number that this node has seen", True)
            else:
                self._good[name] = signed
                self.good_at = now if self.good_at is None else self.good_at

    def choose(self) -> SignedHead | tuple[str, str]:
        """Return the newest one, or why there is none: the kind of the error, and a sentence."""
        newest = max((each.head.number for each in self._good.values()), default=0)
        for name, signed in self._unproven.items():
            if signed.head.number > newest:  # otherwise it may have what is wanted, which is checked by hash
                why = f"shows a head that {self._publisher} has not signed with the key that it has now"
                self._drop(self._sources.all[name], why, self._knows_key)
        by_number: dict[int, tuple[str, SignedHead]] = {}
        for name, signed in self._good.items():
            other, first = by_number.setdefault(signed.head.number, (name, signed))
            if first.head.document != signed.head.document:
                return FAILED, (
                    f"{self._publisher} has signed two different releases of {self._package} with the number "
                    f"{signed.head.number}: {other} shows one, and {name} the other. Ask its publisher which is meant."
                )
        return by_number[newest][1] if by_number else self._why_none()

    @property
    def _knows_key(self) -> bool:
        """Whether the publisher has been spoken to, so that its name record here is not one from before a change."""
        publisher = self._sources.all.get(self._publisher)
        return publisher is None or not (publisher.away or publisher.asked)

    def _why_none(self) -> tuple[str, str]:
        away = any(each.away for each in self._sources.all.values())
        if self._shown:
            return OFFLINE, (
                f"The name record of {self._publisher} is not known here, so nothing proves what it has published: "
                "try again when its registrar can be reached."
            )
        if self._behind is not None and not away:
            return FAILED, self._behind
        kind = OFFLINE if away else NOT_FOUND
        kind = FAILED if any(each.false for each in self._sources.all.values()) else kind
        sentence = f"{self._package} cannot be fetched: {self._sources.summary()}"
        if self._unproven and not self._knows_key:
            sentence += (
                f"; but the name record of {self._publisher} that is known here may be from before a change of its "
                f"key: try again when {self._publisher} or its registrar can be reached"
            )
        return kind, f"{sentence}."
