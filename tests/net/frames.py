"""What tests of frames and handshakes share: a record of an outbox, the page on the wire, the vectors of Noise."""

from dataclasses import dataclass
from pathlib import Path

from net.base.ciphers import Cipher
from net.base.limits import MAX_PLAINTEXT_BYTES
from net.session.outbox import Outbox, PairNumbers


def record(box: Outbox, size: int = MAX_PLAINTEXT_BYTES) -> bytes:
    """The frames of one record."""
    buffer = memoryview(bytearray(size))
    return bytes(buffer[: box.write(buffer, 0, size, PairNumbers())])


DOCUMENT = Path(__file__).parents[2] / "docs" / "wire.md"


PROLOGUE = bytes.fromhex("4a6f686e2047616c74")


INITIATOR_STATIC = bytes.fromhex("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1")


INITIATOR_EPHEMERAL = bytes.fromhex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a")


RESPONDER_STATIC = bytes.fromhex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")


RESPONDER_EPHEMERAL = bytes.fromhex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b")


@dataclass(frozen=True)
class Published:
    """The cacophony vectors of Noise_XX_25519 with a cipher and BLAKE2s, which other implementations share."""

    hash: tuple[int, str]
    """The handshake's hash, and after how many messages."""
    handshake: list[tuple[str, str]]
    """Payload and bytes of each message."""
    transport: list[tuple[str, str]]
    """The same of records, the first of which the responder sends."""


PAYLOADS = (
    "4c756477696720766f6e204d69736573",
    "4d757272617920526f746862617264",
    "462e20412e20486179656b",
    "4361726c204d656e676572",
    "4a65616e2d426170746973746520536179",
    "457567656e2042f6686d20766f6e2042617765726b",
)


FIRST_MESSAGE = "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944" + PAYLOADS[0]
"""The same with both ciphers: nothing is encrypted yet."""


def _published(after: int, digest: str, *messages: str) -> Published:
    said = list(zip(PAYLOADS, (FIRST_MESSAGE, *messages), strict=False))
    return Published((after, digest), said[:3], said[3:])


PUBLISHED = {
    Cipher.CHACHA20_POLY1305: _published(
        3,
        "6c4c56cf71612f72d05ceb96c0155e6f4ea54a26b504c93de632a2db4a49d200",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088437c365eb362a1c991b0557fe8a7fb187d99346765d93e"
        "c63db6c1b01504ebeec55a2298d2dbff80eff034d20595153f63a196a6cead1e11b2bb13e336fa13616dd3e8b0a070c882ed3f1a78c7"
        "c06c93",
        "46c3307de83b014258717d97781c1f50936d8b7d50c0722a1739654d10392d415b670c114f79b9a4f80541570f77ce88802efa4220cf"
        "f733e7b5668ba38059ec904b4b8eef9448085faf51",
        "d5e83adfaac5dc324a68f1862df54549e56d209fba707205f328b2",
        "d102c9029b1f55c788f561ba7737afbccef9c9f1bf2f238167fd40ba9c1c134867",
    ),
    Cipher.AES_GCM: _published(
        2,  # as they were published
        "c9697eaa18299967f4208cd968bce82b12e3c5ec1768a753d9aeb4e9a4cc545d",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843634564bd977239d69da02ca48e74df0b51163816ee3a"
        "23b2b5c18f070438f510ddb0d8029e11bff2822f24d428d360fb854e385a4bd05b23ffd951e20662611b4351c0d3a6554bb15c8eb19a"
        "36347d",
        "0bdb0a4fbb0c13bbc9974900c401a9e84078cf813ef0159ceea5eca94fca40f43b5093c7f6afb2f44990cb43dd8832959deab76fbc9c"
        "70756b3efc216b345d8d734e16624e2d9b8b28c1a2",
        "bda60d063b3fdd955d4d8eb1d1d0f2c7f446d29c95f303724a9d99",
        "18bcd3467fe240f01369d9738b2ab0aa8744ec9787e5838019833e04095bd5e964",
        "d150aa092584136a9ddd3ee7573ab9e2d39ee6d817306fdcaffd4f4af41bedc2f767530688",
    ),
}
