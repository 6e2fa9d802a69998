"""What a mutant is: one piece of text in one source file, and what takes its place."""

from __future__ import annotations

from dataclasses import dataclass


class PatternLost(Exception):
    """A mutant's text is not in its file exactly once any more; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One promise, broken."""

    name: str
    """For the command line and the table."""
    breaks: str
    """One sentence: what a node does now."""
    file: str
    """Below the root of the sources."""
    old: str
    """Occurs there exactly once."""
    new: str
    """What takes its place."""
    scenario: str
    """Is expected to catch it: a scenario, or a test, as pytest names it."""
    seeds: int = 30
    """From 1 on, at most: one of them does."""

    @property
    def is_for_test(self) -> bool:
        """Whether a test is to catch it."""
        return "::" in self.scenario

    def apply(self, source: str) -> str:
        """The file with the promise broken; raises PatternLost."""
        count = source.count(self.old)
        if count != 1:
            found = "is not there" if count == 0 else f"is there {count} times"
            raise PatternLost(f"{self.name}: its text {found} in {self.file}; bring tests/mutants up to date with it.")
        return source.replace(self.old, self.new)
