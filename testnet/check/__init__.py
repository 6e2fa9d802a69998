"""What applications promise: operations recorded as histories, and checkers that say whether a history keeps a promise.

A test records what its clients did (`history`), and states what must hold: that the history is linearizable against a
model (`linearizable`, `models`), a weaker promise (`sessions`, `convergence`, `updates`, `leaders`), or the isolation
of
transactions (`transactions`). All of it is pure: the same history has the same verdict, and every search is bounded.
"""

from testnet.check.convergence import Converges
from testnet.check.history import DidNotHappen, Histories, OperationHistory, RecordedCall
from testnet.check.leaders import AtMostOneLeader
from testnet.check.linearizable import Linearizable
from testnet.check.model import WRONG, Model, fits
from testnet.check.models import (
    CompareAndSetModel,
    CounterModel,
    KeyValueModel,
    LockModel,
    QueueModel,
    RegisterModel,
    SetModel,
)
from testnet.check.operation import UNKNOWN, Operation, Status
from testnet.check.sessions import CausalOrder, MonotonicReads, MonotonicWrites, ReadYourWrites
from testnet.check.transactions import Transactions
from testnet.check.updates import NoLostUpdate
from testnet.check.verdict import Guarantee, Verdict, VerdictKind

__all__ = [
    "UNKNOWN",
    "WRONG",
    "AtMostOneLeader",
    "CausalOrder",
    "CompareAndSetModel",
    "Converges",
    "CounterModel",
    "DidNotHappen",
    "Guarantee",
    "Histories",
    "KeyValueModel",
    "Linearizable",
    "LockModel",
    "Model",
    "MonotonicReads",
    "MonotonicWrites",
    "NoLostUpdate",
    "Operation",
    "OperationHistory",
    "QueueModel",
    "ReadYourWrites",
    "RecordedCall",
    "RegisterModel",
    "SetModel",
    "Status",
    "Transactions",
    "Verdict",
    "VerdictKind",
    "fits",
]
