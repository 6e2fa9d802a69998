"""What goes into and comes out of a network, and what a node may choose; imports `base` and `names`."""
