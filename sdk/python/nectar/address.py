"""Names of processes: `process:package:publisher`, on a node `node@process:package:publisher`."""

from __future__ import annotations

from dataclasses import dataclass


class BadAddress(ValueError):
    """A text is not the name of a process."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process of some node.

    ```pycon
    >>> str(ProcessId("hello", "hello", "sys"))
    'hello:hello:sys'

    ```
    """

    process: str
    package: str
    publisher: str

    @classmethod
    def parse(cls, text: str) -> ProcessId:
        """Return the id that `text` spells. The kernel checks characters and lengths. Raises BadAddress.

        ```pycon
        >>> ProcessId.parse("hello:hello:sys").package
        'hello'

        ```
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(parts):
            raise BadAddress(f"{text!r} is not the id of a process, such as hello:hello:sys")
        return cls(*parts)

    def same_package(self, other: ProcessId) -> bool:
        """Whether both belong to one package."""
        return (self.package, self.publisher) == (other.package, other.publisher)

    def sibling(self, process: str) -> ProcessId:
        """Return the id of another process of this package.

        ```pycon
        >>> str(ProcessId.parse("boss:pool:sys").sibling("worker"))
        'worker:pool:sys'

        ```
        """
        return ProcessId(process, self.package, self.publisher)

    def __str__(self) -> str:
        """Return the id as `parse` takes it."""
        return f"{self.process}:{self.package}:{self.publisher}"


@dataclass(frozen=True, slots=True)
class Address:
    """A process on a node. `our` as the node means this node.

    ```pycon
    >>> str(Address.parse("two.nec@hello:hello:sys"))
    'two.nec@hello:hello:sys'

    ```
    """

    node: str
    process: ProcessId

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that `text` spells; one without a node is on ours. Raises BadAddress.

        ```pycon
        >>> Address.parse("timer:distro:sys").node
        'our'

        ```
        """
        node, at, process = text.rpartition("@")
        if at and not node:
            raise BadAddress(f"{text!r} is not an address, such as two.nec@hello:hello:sys")
        return cls(node or "our", ProcessId.parse(process))

    def same_package(self, other: Address) -> bool:
        """Whether both are processes of one package on one node.

        Of another node only its name is proven, and the process in a source is what that node says: never look at that
        alone.
        """
        return self.node == other.node and self.process.same_package(other.process)

    def __str__(self) -> str:
        """Return the address as `parse` takes it."""
        return f"{self.node}@{self.process}"


Target = Address | str
"""Whom to send to: an address, or its text."""
