"""Fetches axe-core, which looks for what keeps people from using a page: `python -m tests.browser.fetch_axe`.

It lies in the environment and not in the repository, since it is larger than all that it examines.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import urllib.request
from pathlib import Path

VERSION = "4.14.1"
ARCHIVE = f"https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz"
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
"""Of the archive."""
SCRIPT = Path(sys.prefix) / f"axe-core-{VERSION}.min.js"
"""Where it lies."""
SECONDS = 60.0
"""That the registry may be silent."""


def fetch() -> None:
    """Fetch the archive, and keep its script; raises OSError, and ValueError if it is not what was pinned."""
    with urllib.request.urlopen(ARCHIVE, timeout=SECONDS) as answer:
        archive = answer.read()
    if (found := hashlib.sha256(archive).hexdigest()) != SHA256:
        raise ValueError(f"{ARCHIVE} has the hash {found}, and not {SHA256}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        script = files.extractfile("package/axe.min.js")
        assert script is not None
        SCRIPT.write_bytes(script.read())


def main() -> int:
    """The command line; 1 if it cannot be had."""
    if SCRIPT.exists():
        return 0
    try:
        fetch()
    except (OSError, ValueError) as error:
        print(f"axe-core cannot be fetched: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
