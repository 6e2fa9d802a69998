"""What goes into and comes out of a network, and its configuration. Imports `base` and `names`."""
