"""Why a node cannot join its network: for each reason one sentence for people, with what to do next."""

from net.contract.events import FailureReason

SENTENCES = {
    FailureReason.UNREACHABLE: (
        "The registrar does not answer, so nobody new can find {name}: it goes on with what is known, and tries again."
    ),
    FailureReason.RECORD_NOT_KEPT: (
        "The registrar's disk does not take the record of {name}: it is asked again until it does."
    ),
    FailureReason.NAME_TAKEN: (
        "The name {name} is taken: another key holds it. Choose another name, or use the folder with its key."
    ),
    FailureReason.STALE_SEQUENCE: (
        "The registrar has a newer record of {name}, again and again: stop the other node that runs with its key."
    ),
    FailureReason.BAD_SIGNATURE: (
        "The registrar finds the record of {name} badly signed: run the same version on both."
    ),
    FailureReason.FOREIGN_KEY: (
        "The key that holds {name} has not agreed to its new key: put back the key file from before the change."
    ),
    FailureReason.RECORD_EXPIRED: (
        "The registrar finds the record of {name} expired: "
        "set this machine's clock, which is behind, or the registrar's."
    ),
    FailureReason.RECORD_FROM_THE_FUTURE: (
        "The registrar finds the record of {name} issued in the future: "
        "set this machine's clock, which is ahead, or the registrar's."
    ),
    FailureReason.REGISTRAR_FULL: "The registrar grants no more names for now: try again tomorrow with {name}.",
    FailureReason.TRY_LATER: (
        "The registrar takes in no more from this address, or of {name}, for now, so nobody new can find {name}: "
        "it is asked again in {seconds} s. With an invitation (`--invitation`) a new name need not wait."
    ),
    FailureReason.KEY_HAS_NAMES: (
        "The key of {name} has as many names as one may: let each node make a key of its own, or import another one."
    ),
    FailureReason.INVITATION_NEEDED: (
        "This network takes in {name} by invitation only: ask its owner for one "
        "(`nectar testnet invite` makes it there), and boot with `--join TEXT`."
    ),
    FailureReason.INVITATION_REFUSED: (
        "The registrar does not accept the invitation of {name}: it has expired, is for another name or network, or is "
        "not copied whole. Ask for another one."
    ),
    FailureReason.INVITATION_USED: (
        "The invitation of {name} has been used as often as it may: ask the network's owner for another one."
    ),
}


def why_refused(name: str, reason: FailureReason, seconds: int | None = None) -> str:
    """Return why the node `name` has no place in its network, or not yet.

    `seconds` is the time until it asks again, if that is known.
    """
    sentence = SENTENCES.get(reason)
    if sentence is None:
        return f"The registrar does not accept {name}: {reason}."
    return sentence.format(name=name, seconds=seconds)
