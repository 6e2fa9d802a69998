"""Why a node cannot join its network: for each reason one sentence for people, with what to do next."""

from net.events import FailureReason

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
    FailureReason.REGISTRAR_FULL: "The registrar grants no more names: {name} needs another network.",
}


def why_refused(name: str, reason: FailureReason) -> str:
    """Why the node `name` has no place in its network, or not yet."""
    sentence = SENTENCES.get(reason)
    return sentence.format(name=name) if sentence is not None else f"The registrar does not accept {name}: {reason}."
