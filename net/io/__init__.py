"""(trio) Bytes between a network and TCP; imports `base` and `contract`."""
