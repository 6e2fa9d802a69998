"""Actions on real nodes and their hosts, and their addresses; imports `model` and `hostile`."""
