"""All peers of one node: `network.Network` and what it is made of. Imports every folder of the net but `io`."""
