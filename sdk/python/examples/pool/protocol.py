"""What users, boss, workers and children say to each other."""

from dataclasses import dataclass, field

MAX_CHILDREN = 4
"""Jobs that one worker does at a time, each in a child of its own."""
MAX_BELOW = 1_000_000


@dataclass
class Job:
    """The sum of all primes below `below`. The child first rests for `rest` milliseconds, as if it were much work, and
    with `trap` it then fails instead."""

    number: int
    below: int
    rest: int = 0
    trap: bool = False


@dataclass
class Run:
    """To boss: job k of `jobs` is the sum of all primes below `below` + 100 k."""

    jobs: int
    workers: list[str]
    """Nodes with a worker."""
    timeout: int
    """Seconds that one attempt at a job may take."""
    below: int = 1000
    attempts: int = 20
    rest: int = 0
    trap: list[int] = field(default_factory=list)
    """Jobs whose child fails at the first attempt."""
