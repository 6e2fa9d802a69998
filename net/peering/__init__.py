"""All peers of one node: `network.Network` and its parts; imports everything of the net but `io`."""
