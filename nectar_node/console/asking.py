"""Asks the user at the terminal."""

from __future__ import annotations

from nectar_node.console import output


def agrees(prompt: str) -> bool:
    """Ask at the terminal, and return whether the user says yes."""
    try:
        return input(prompt).strip().lower() in ("y", "yes")
    except EOFError:
        output.say("")
        return False
