"""Carries out what the page orders and looks up: with the functions that the commands use. It may take its time."""

from __future__ import annotations

from dataclasses import dataclass

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.http.pages import PageAnswer, error_page
from nectar_node.launcher.local_network import LocalNetwork
from testnet.faults import FAULTS, IN_SIMULATIONS_ONLY
from testnet.faults.catalogue import BadParameter
from testnet.faults.forms import forms
from testnet.model.seeds import chosen
from testnet.real import orders
from testnet.web.asked import ChaosAsked, FaultAsked, NodeAsked, RemovalAsked, seconds_untrusted
from testnet.web.chaos_runs import ChaosRuns
from testnet.web.journals import journal_report, list_journals
from testnet.web.site import PageOrder, PageView, failure, report, value


@dataclass(frozen=True, slots=True)
class Hands:
    """What the page can do with a testnet. All of it waits for processes and files, and may be called in threads."""

    network: LocalNetwork
    chaos: ChaosRuns

    def carry_out(self, wanted: PageOrder | PageView) -> PageAnswer:
        """Return the answer; an error is one too."""
        try:
            return self._look_up(wanted) if isinstance(wanted, PageView) else value(self._obey(wanted))
        except NodeError as error:
            if isinstance(wanted, PageView) and wanted.argument:
                return error_page(404, str(error))
            return failure(error)

    def _obey(self, order: PageOrder) -> object:
        match order.asked:
            case FaultAsked() as asked:
                return self._add(asked)
            case RemovalAsked(number):
                return {"removed": orders.remove_faults(self.network, number)}
            case NodeAsked(name, what):
                done = orders.NODE_ORDERS.get(what)
                if done is None:
                    raise BadInput(f"There is no order {what!r}: there are {', '.join(orders.NODE_ORDERS)}.")
                told = done(self.network, name)
                return {"state": told.state, "sentence": " ".join((told.sentence, *told.warnings))}
            case ChaosAsked(minutes, seed):
                self.chaos.begin(minutes, chosen(seed))
            case _:
                self.chaos.end()
        return {}

    def _add(self, asked: FaultAsked) -> object:
        if asked.kind not in FAULTS or asked.kind in IN_SIMULATIONS_ONLY:
            raise BadParameter(f"There is no fault {asked.kind!r} for real nodes.", "kind")
        given = orders.parse_parameters([f"{name}={text}" for name, text in asked.parameters.items()])
        try:
            given |= orders.parse_where(asked.between, asked.source, asked.target, asked.node)
        except BadInput as error:
            raise BadParameter(str(error), "") from None
        try:
            seconds = seconds_untrusted(asked.seconds)
        except BadInput as error:
            raise BadParameter(str(error), "for") from None
        return orders.add_fault(self.network, asked.kind, given, seconds)

    def _look_up(self, view: PageView) -> PageAnswer:
        match view:
            case PageView("faults", ""):
                return value({"forms": forms()})
            case PageView("journals", ""):
                return value(list_journals())
            case PageView("journal", name) if name:
                return report(journal_report(name))
            case PageView("chaos", number) if number:
                return report(self.chaos.report(number).text + "\n", "text/plain; charset=utf-8")
        return error_page(404, "Nothing is here.")
