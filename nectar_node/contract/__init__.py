"""What passes between the core and its driver, and a node's configuration; imports `base` and `storage`."""
