"""Scenarios, one file each: a topology, what happens in it, what must hold. `scenario` says what one is."""

from __future__ import annotations

from testnet.scenarios.backup import BACKUP
from testnet.scenarios.browsers import BROWSERS
from testnet.scenarios.chains import CHAINS, CUT_CHAINS
from testnet.scenarios.chat import CHAT
from testnet.scenarios.churn import CHURN
from testnet.scenarios.ciphers import CIPHERS
from testnet.scenarios.crowded_disk import CROWDED_DISK
from testnet.scenarios.file_transfer import CUT_FILES, FILE_TRANSFER
from testnet.scenarios.flood import FLOOD
from testnet.scenarios.folders import FOLDERS
from testnet.scenarios.greedy import GREEDY
from testnet.scenarios.handoff import HANDOFF
from testnet.scenarios.hostile import HOSTILE
from testnet.scenarios.impostor import IMPOSTOR
from testnet.scenarios.indirect import INDIRECT
from testnet.scenarios.registrar_outage import REGISTRAR_OUTAGE
from testnet.scenarios.releases import RELEASES
from testnet.scenarios.restarts import RESTARTS
from testnet.scenarios.reunions import REUNIONS
from testnet.scenarios.scenario import Scenario
from testnet.scenarios.store import STORE
from testnet.scenarios.workers import WORKERS

SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        BACKUP,
        BROWSERS,
        CHAINS,
        CHAT,
        CHURN,
        CIPHERS,
        CROWDED_DISK,
        CUT_CHAINS,
        CUT_FILES,
        FILE_TRANSFER,
        FOLDERS,
        FLOOD,
        GREEDY,
        HANDOFF,
        HOSTILE,
        IMPOSTOR,
        INDIRECT,
        REGISTRAR_OUTAGE,
        RELEASES,
        RESTARTS,
        REUNIONS,
        STORE,
        WORKERS,
    )
}
"""Scenarios by name."""
