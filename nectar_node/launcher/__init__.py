"""What starts and finds the nodes in a folder, and sends them requests; imports `console` and `base` to `contract`."""
