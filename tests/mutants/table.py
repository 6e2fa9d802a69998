"""All mutants."""

from __future__ import annotations

from tests.mutants.in_backups import BACKUPS
from tests.mutants.in_browsers import BROWSERS
from tests.mutants.in_consent import CONSENT
from tests.mutants.in_defences import DEFENCES
from tests.mutants.in_kernel import KERNEL
from tests.mutants.in_net import NET
from tests.mutants.in_node import NODE
from tests.mutants.in_packages import PACKAGES
from tests.mutants.in_pairs import PAIRS
from tests.mutants.in_releases import RELEASES
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *KERNEL,
    *NET,
    *NODE,
    *CONSENT,
    *DEFENCES,
    *PACKAGES,
    *BACKUPS,
    *RELEASES,
    *BROWSERS,
    *PAIRS,
)
"""By name unique."""
