"""`python -m testnet.real.links FOLDER`."""

import sys

from nectar_node.base.program import load

if __name__ == "__main__":
    sys.exit(load("testnet.real.links.process")())
