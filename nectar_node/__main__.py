"""`python -m nectar_node`: the same as the `nectar` command."""

import sys

from nectar_node.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
