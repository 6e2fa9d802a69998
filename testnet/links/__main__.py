"""`python -m testnet.links FOLDER`."""

import sys

from nectar_node.program import load

if __name__ == "__main__":
    sys.exit(load("testnet.links.process")())
