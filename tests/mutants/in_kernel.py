"""Mutants of `kernel/`: messages, outcomes, blobs, capabilities, lives."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

KERNEL = (
    Mutant(
        "drop-the-context",
        "An error comes back to its sender without the context of the request (G6).",
        "kernel/router/outcomes.py",
        "self.deliver(entry, Failure(error, entry.context), entry.blob)",
        "self.deliver(entry, Failure(error, None), entry.blob)",
        "chains",
    ),
    Mutant(
        "answer-the-wrong-requester",
        "An outcome leaves the prompt as it is, so what follows from it answers whoever asked last (G9).",
        "kernel/router/outcomes.py",
        "self._handover.give(owner, answer, entry.prompt, False, blob)",
        "self._handover.give(owner, answer, entry.prompt, True, blob)",
        "chains",
    ),
    Mutant(
        "error-keeps-the-prompt",
        "A request that comes back although it expected nothing does not restore the prompt (G9, G15).",
        "kernel/router/incoming.py",
        "Delivery(Failure(error, context), prompt, False, envelope.blob, 0)",
        "Delivery(Failure(error, context), prompt, True, envelope.blob, 0)",
        "chains",
    ),
    Mutant(
        "drop-the-inherited-reply-to",
        "A request that inherits does not carry on where the answer goes (G10).",
        "kernel/router/requests.py",
        "reply_to = process.prompt if inherit else None",
        "reply_to = None",
        "chains",
    ),
    Mutant(
        "answer-without-context",
        "A response of another node comes without the context of its request (G6).",
        "kernel/router/incoming.py",
        "answer = _new(Arrival, (envelope.source, envelope.message, entry.context, envelope.blob))",
        "answer = _new(Arrival, (envelope.source, envelope.message, None, envelope.blob))",
        "chains",
    ),
    Mutant(
        "last-in-first-out",
        "What came last to an inbox is handed over first (G4).",
        "kernel/contract/fair_queue.py",
        "        item = queue.popleft()\n",
        "        item = queue.pop()\n",
        "chains",
    ),
    Mutant(
        "nodes-do-not-take-turns",
        "A node that floods a process has all of its messages handed over before any of another node's (G24).",
        "kernel/contract/fair_queue.py",
        "                turns.rotate(-1)\n",
        "                pass\n",
        "tests/kernel/router/test_backpressure.py::test_g24_a_node_that_floods_a_process_delays_another_node_by_a_message_at_a_time",
    ),
    Mutant(
        "timeout-counts-twice",
        "A request waits twice as long as it said (G7).",
        "kernel/router/sending.py",
        "Outstanding(id, process, request, target, self._state.now + request.expects_response)",
        "Outstanding(id, process, request, target, self._state.now + 2 * request.expects_response)",
        "restarts",
        5,
    ),
    Mutant(
        "blob-of-a-later-message",
        "A message that comes to an inbox puts its blob, or none, in the place of the current one (G11).",
        "kernel/router/handover.py",
        "        weight = size_of(message, blob) + 1\n",
        "        receiver.blob = blob\n        weight = size_of(message, blob) + 1\n",
        "chains",
    ),
    Mutant(
        "stale-blob",
        "A message without a blob leaves that of the message before it current (G11).",
        "kernel/router/handover.py",
        "        process.blob = blob\n        process.handled = answer",
        "        process.blob = blob or process.blob\n        process.handled = answer",
        "chains",
    ),
    Mutant(
        "blob-lost-in-the-inbox",
        "A request that has waited in an inbox has no blob to hand on (G11).",
        "kernel/router/handover.py",
        "Delivery, (arrival, reply_to, reply_to is None, blob, weight)",
        "Delivery, (arrival, reply_to, reply_to is None, None, weight)",
        "chains",
    ),
    Mutant(
        "blob-without-inheriting",
        "A request that does not inherit takes the current blob along all the same (G11).",
        "kernel/router/requests.py",
        "        if blob is None and inherit:\n",
        "        if blob is None:\n",
        "chains",
    ),
    Mutant(
        "answer-takes-the-blob",
        "A response that does not inherit takes the blob of its request along all the same (G11).",
        "kernel/router/sending.py",
        "if blob is None and response.inherit:",
        "if blob is None:",
        "chains",
    ),
    Mutant(
        "late-response-after-timeout",
        "A request whose time is up stays outstanding, so a late response is an outcome too (G5).",
        "kernel/router/outstanding.py",
        "return self.resolve(queue.popleft()[1])",
        "return self.get(queue.popleft()[1])",
        "chains",
    ),
    Mutant(
        "ended-process-owes-nothing",
        "Whoever waits for a process that has ended is not told, and waits for ever (G14).",
        "kernel/router/outcomes.py",
        "                self.fail(entry, Reason.PROCESS_ENDED)\n                if reply_to is not None",
        "                if reply_to is not None",
        "restarts",
        5,
    ),
    Mutant(
        "failed-request-is-forgotten",
        "A request that the net gives back is taken off the list, and nobody is told (G5).",
        "kernel/router/incoming.py",
        "            if entry is not None:\n                self._outcomes.fail(entry, reason)\n",
        "",
        "churn",
        10,
    ),
    Mutant(
        "acknowledge-before-taking",
        "A message whose process has no room is acknowledged before it is taken (G24).",
        "kernel/router/incoming.py",
        "            receiver.waiters.put(envelope.source.node, Parked(envelope, receipt))",
        "            self._state.emit(_new(Taken, (receipt,)))\n"
        "            receiver.waiters.put(envelope.source.node, Parked(envelope, receipt))",
        "flood",
        5,
    ),
    Mutant(
        "responses-give-no-credit-back",
        "Responses of other nodes are taken and never acknowledged, so their credit is gone for good.",
        "kernel/router/incoming.py",
        "            self._state.emit(_new(Taken, (receipt,)))\n            self._on_peer_response(envelope)\n",
        "            self._on_peer_response(envelope)\n",
        "flood",
        5,
    ),
    Mutant(
        "sender-out-of-room-is-forgotten",
        "A process that waits until less of it is on its way to other nodes is never let go on (G24).",
        "kernel/router/incoming.py",
        "        if self._in_flight.gone(parcel.lot, parcel.size):\n",
        "        if self._in_flight.gone(parcel.lot, parcel.size) and parcel.sender is None:\n",
        "flood",
        5,
    ),
    Mutant(
        "set-state-before-it-is-kept",
        "A process is told that its state is kept when the disk is asked to, and not when it has (G27).",
        "kernel/router/host_calls.py",
        "        self._state.emit(UseState(process.address.process, process, action, state))\n"
        "        return True\n"
        "\n"
        "    def on_state_used(self, event: StateUsed) -> None:\n"
        '        """Answer a process whose state the disk has read or changed."""\n'
        "        process = event.token\n"
        "        assert isinstance(process, Process)\n"
        "        if self._lifecycle.processes.get(process.address.process) is not process:\n",
        "        self._state.emit(UseState(process.address.process, process, action, state))\n"
        "        if action is StateAction.SET:\n"
        "            self._handover.answer_call(process, None)\n"
        "        return True\n"
        "\n"
        "    def on_state_used(self, event: StateUsed) -> None:\n"
        "        process = event.token\n"
        "        assert isinstance(process, Process)\n"
        "        here = self._lifecycle.processes.get(process.address.process) is process\n"
        "        if not here or process.waiting is not Waiting.CALL:\n",
        "store",
        80,
    ),
    Mutant(
        "attach-what-is-not-held",
        "A process attaches any capability that it can name (G20).",
        "kernel/capabilities/grants.py",
        "            each for each in self._named(capabilities) if each.issuer == sender"
        " or self.holds(sender.process, each)\n",
        "            each for each in self._named(capabilities)\n",
        "handoff",
    ),
    Mutant(
        "save-what-never-came",
        "A process saves any capability that it can name (G20).",
        "kernel/capabilities/grants.py",
        "            if each.issuer == holder or each in received or self.holds(holder.process, each)\n",
        "",
        "handoff",
    ),
    Mutant(
        "kill-does-not-revoke",
        "What a killed process has issued stays valid (G21).",
        "kernel/router/lifecycle.py",
        "        if revokes:\n",
        "        if not revokes:\n",
        "handoff",
    ),
    Mutant(
        "revocations-die-at-reboot",
        "What was revoked before a reboot is worth something after it (G21).",
        "kernel/capabilities/grants.py",
        "        self._revocations.restore(revoked)\n",
        "",
        "handoff",
    ),
    Mutant(
        "on-exit-requests-are-forgotten",
        "The requests that a process has set for its end are not sent (G22).",
        "kernel/router/lifecycle.py",
        "                self._requests.send_as_ended(process)\n",
        "                pass\n",
        "restarts",
        5,
    ),
    Mutant(
        "back-off-is-never-reset",
        "A process that has run well for long starts again after the longest pause so far (G22).",
        "kernel/router/restarts.py",
        "            wait = FIRST_BACK_OFF\n        self._back_off[id]",
        "            pass\n        self._back_off[id]",
        "restarts",
        5,
    ),
    Mutant(
        "restart-without-back-off",
        "A process that ends again and again starts again at once (G22).",
        "kernel/router/restarts.py",
        "Restart(now + wait, self._number,",
        "Restart(now, self._number,",
        "restarts",
        5,
    ),
    Mutant(
        "back-off-does-not-grow",
        "A process that ends again and again starts again after a second each time (G22).",
        "kernel/router/restarts.py",
        "self._back_off[id] = min(2 * wait, LONGEST_BACK_OFF)",
        "self._back_off[id] = wait",
        "restarts",
        5,
    ),
    Mutant(
        "one-account-for-all-nodes",
        "A node that acknowledges nothing uses up what a process may send to all nodes together (G24).",
        "kernel/contract/in_flight.py",
        "    def _of_process(self, process: ProcessId, node: str, answer: bool) -> Lot:\n",
        '    def _of_process(self, process: ProcessId, node: str, answer: bool) -> Lot:\n        node = ""\n',
        "tests/kernel/contract/test_in_flight.py::test_g24_what_waits_for_one_node_holds_up_nothing_for_another",
    ),
    Mutant(
        "slices-of-a-life",
        "In a simulation, a guest may use up so many slices in its life, and not since it waited last.",
        "kernel/wasm/fiber.py",
        "        self._ready[0] = 1\n        self._slices = 0\n",
        "        self._ready[0] = 1\n",
        "tests/testnet/sim/test_endless.py::test_a_process_that_computes_for_each_message_may_do_so_without_end",
        seeds=1,
    ),
)
