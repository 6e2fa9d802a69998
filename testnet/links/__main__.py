"""`python -m testnet.links FOLDER`."""

import sys

from testnet.links.process import main

if __name__ == "__main__":
    sys.exit(main())
