"""`python -m testnet.hostile FOLDER ATTACKER NODE BEHAVIOUR PROCESS SEED`."""

import sys

from nectar_node.base.program import load

if __name__ == "__main__":
    sys.exit(load("testnet.hostile.process")())
