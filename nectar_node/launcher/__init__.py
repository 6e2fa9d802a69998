"""What starts, finds and asks the nodes in a folder; imports `console` and `base` to `contract`."""
