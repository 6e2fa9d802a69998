"""Interfaces as packages have them."""

from __future__ import annotations

from kernel.contract.address import PackageId
from nectar_node.interfaces.messages import ProcessApi, read_api_untrusted
from nectar_node.interfaces.resolver import TypedInterface, read_interfaces_untrusted
from nectar_node.interfaces.shapes import Shape
from nectar_node.releases.document import ApiFile

CHESS = """
/// A game between two nodes.
interface chess {
    use standard.{address, node-id};

    /// What is asked.
    variant request {
        /// Begin a game.
        /// @answers accepted
        new-game(new-game-request),
        move(move-request),
        resign(string),
        list-games,
    }

    variant response {
        accepted,
        move(result<_, move-error>),
        list-games(list<tuple<string, u32>>),
        err(string),
    }

    record new-game-request {
        white: node-id,
        black: option<address>, /// Minutes.
        /// @default 5
        minutes: u8,
    }

    /* What /* nested */ comments are. */
    record move-request { game-id: string, move-str: string }

    enum move-error { not-your-turn, no-such-move }
    flags colors { white, black }
    type level = s16;
    watch: func(game: string) -> result<list<u8>, string>;
}

world chess-sys-v0 {
    import chess;
    include process-v1;
}
"""


def interfaces(text: str, *more: str) -> dict[str, TypedInterface]:
    """The interfaces in these files."""
    return read_interfaces_untrusted(ApiFile(f"{at}.wit", each) for at, each in enumerate((text, *more)))


def shape(text: str) -> Shape:
    """The type `t` of an interface with these items."""
    return interfaces(f"interface i {{ {text} }}")["i"].types["t"]


def apis(text: str, *processes: str, package: str = "chess:sys") -> list[ProcessApi]:
    """What the processes of a package understand."""
    return read_api_untrusted(PackageId.parse(package), processes, [ApiFile("api.wit", text)])
