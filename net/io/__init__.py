"""(trio) Carries bytes between a network and TCP. Imports `base` and `contract`."""
